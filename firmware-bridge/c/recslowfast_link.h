/* recslowfast_link: the wire of recslowfast in C99, for boards without Rust.
 *
 * No heap, no floating point, no recursion. A decoder takes about 300 bytes of RAM; the largest message about 300 more.
 * The byte layout is in ../WIRE.md; field names, units and ranges here are the ones there.
 *
 *     static rsf_decoder link;            // rsf_decoder_init(&link) once
 *     rsf_packet packet;
 *     rsf_message message;
 *     if (rsf_push(&link, Serial.read(), &packet) && rsf_read(&link, &packet, &message) == RSF_OK && message.kind == RSF_STATUS)
 *         show(message.body.status.steps);
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef RECSLOWFAST_LINK_H
#define RECSLOWFAST_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RSF_WIRE_VERSION 0x10u
#define RSF_MAX_PAYLOAD 240
#define RSF_MAX_PACKET (4 + RSF_MAX_PAYLOAD + 4)
#define RSF_MAX_FRAME (1 + RSF_MAX_PACKET + 1)
#define RSF_MAX_DETECTIONS 8
#define RSF_MAX_RECENT 32

/* Kinds. */
enum {
    RSF_HELLO = 0x01,
    RSF_STATUS = 0x02,
    RSF_DETECTIONS = 0x03,
    RSF_LOG = 0x04,
    RSF_CLASS_NAME = 0x05,
    RSF_ACK = 0x06,
    RSF_SET_BUDGET = 0x41,
    RSF_SET_MODE = 0x42,
    RSF_PAUSE = 0x43,
    RSF_RESUME = 0x44,
    RSF_RESET_STATE = 0x45,
    RSF_ASK_STATUS = 0x46,
    RSF_SET_REPORT_RATE = 0x47,
    RSF_ASK_HELLO = 0x48
};

/* Named sets: one byte each. A number not listed here comes from a newer version. */
enum { RSF_CAMERA_SEARCHING, RSF_CAMERA_NEGOTIATING, RSF_CAMERA_STREAMING, RSF_CAMERA_STALLED, RSF_CAMERA_LOST };
enum { RSF_ENGINE_NONE, RSF_ENGINE_CPU, RSF_ENGINE_CUDA };
enum { RSF_MODE_ACCURACY, RSF_MODE_BALANCED, RSF_MODE_SAVER };
enum { RSF_LIMIT_NONE, RSF_LIMIT_LATENCY, RSF_LIMIT_POWER, RSF_LIMIT_HEAT, RSF_LIMIT_CAMERA };
enum { RSF_STOP_HALTED, RSF_STOP_LIMIT, RSF_STOP_ZERO, RSF_STOP_RESET, RSF_STOP_DEADLINE };
enum { RSF_LOG_ERROR, RSF_LOG_WARN, RSF_LOG_INFO, RSF_LOG_DEBUG };
enum { RSF_ACK_DONE, RSF_ACK_UNSUPPORTED, RSF_ACK_MALFORMED, RSF_ACK_OUT_OF_RANGE, RSF_ACK_STALE, RSF_ACK_BUSY, RSF_ACK_REFUSED };

/* UTF-8 of at most the given number of bytes, terminated by a zero that is not sent. */
typedef struct { uint8_t length; char bytes[24 + 1]; } rsf_text24;
typedef struct { uint8_t length; char bytes[32 + 1]; } rsf_text32;
typedef struct { uint8_t length; char bytes[48 + 1]; } rsf_text48;
typedef struct { uint8_t length; char bytes[160 + 1]; } rsf_text160;

/* Values that may be absent. */
typedef struct { bool present; uint32_t value; } rsf_opt_u32;
typedef struct { bool present; uint16_t value; } rsf_opt_u16;
typedef struct { bool present; int16_t value; } rsf_opt_i16;

typedef struct {
    rsf_text24 software;
    rsf_text32 board;
    rsf_text32 network;
    rsf_text48 address;
    uint16_t width, height, classes;
} rsf_hello;

typedef struct {
    uint32_t frame;
    uint32_t uptime_ms;
    uint8_t camera;     /* RSF_CAMERA_... */
    uint8_t engine;     /* RSF_ENGINE_... */
    uint8_t mode;       /* RSF_MODE_... */
    bool paused;
    uint8_t steps;
    uint8_t limit;
    uint8_t limited_by; /* RSF_LIMIT_... */
    uint8_t stopped;    /* RSF_STOP_... */
    uint8_t skip;
    uint32_t age_us;
    uint32_t deadline_us;
    rsf_opt_u32 power_mw;
    rsf_opt_u32 power_budget_mw;
    rsf_opt_i16 temperature_cc;
    uint16_t capture_cfps;
    uint16_t inference_cfps;
    uint32_t dropped;
    uint8_t recent_count;
    uint8_t recent[RSF_MAX_RECENT]; /* oldest first */
} rsf_status;

typedef struct {
    uint16_t class_number;
    uint16_t score;
    uint32_t track;
    uint16_t left, top, width, height;
    uint32_t area;
} rsf_detection;

typedef struct {
    uint32_t frame;
    uint32_t age_us;
    uint16_t found;
    uint8_t count;
    rsf_detection items[RSF_MAX_DETECTIONS]; /* best first */
} rsf_detections;

typedef struct { uint8_t level; uint32_t uptime_ms; rsf_text160 text; } rsf_log;
typedef struct { uint16_t class_number; rsf_text24 name; } rsf_class_name;
typedef struct { uint16_t sequence; uint8_t kind; uint8_t result; } rsf_ack;

typedef struct {
    rsf_opt_u32 deadline_us;
    rsf_opt_u16 percentile_pm;
    rsf_opt_u32 power_mw;
    rsf_opt_i16 temperature_cc;
} rsf_set_budget;
typedef struct { uint8_t mode; } rsf_set_mode;
typedef struct { uint16_t status_period_ms; uint16_t detections_period_ms; } rsf_set_report_rate;

/* One message of either direction; kind says which member of body counts, if any. */
typedef struct {
    uint8_t kind;
    union {
        rsf_hello hello;
        rsf_status status;
        rsf_detections detections;
        rsf_log log;
        rsf_class_name class_name;
        rsf_ack ack;
        rsf_set_budget set_budget;
        rsf_set_mode set_mode;
        rsf_set_report_rate set_report_rate;
    } body;
} rsf_message;

typedef enum { RSF_OK, RSF_UNKNOWN, RSF_MALFORMED, RSF_OUT_OF_RANGE } rsf_result;

/* A view over one packet whose length, CRC and major version are right. Valid until the next rsf_push on the same decoder. */
typedef struct {
    uint8_t minor;
    uint8_t kind;
    uint16_t sequence;
    const uint8_t *payload;
    uint8_t length;
} rsf_packet;

/* Each modulo 2^32; the meaning is in WIRE.md under "Receiver states". */
typedef struct {
    uint32_t frames, cobs, overlong, short_, crc, version, unknown, malformed, lost;
} rsf_counters;

typedef struct {
    rsf_counters counters;
    uint16_t sequence;
    bool heard, started, overlong, chained;
    uint8_t run;
    uint8_t length;
    uint8_t buffer[RSF_MAX_PACKET];
} rsf_decoder;

/* CRC-32/ISO-HDLC; "123456789" gives 0xCBF43926. */
uint32_t rsf_crc32(const uint8_t *bytes, size_t count);

void rsf_decoder_init(rsf_decoder *decoder);

/* Takes one byte; true if it completed a packet, which is then in *packet. */
bool rsf_push(rsf_decoder *decoder, uint8_t byte, rsf_packet *packet);

/* Reads the packet as a message. On anything but RSF_OK the content of *message is not to be used. Counts what cannot be read. */
rsf_result rsf_read(rsf_decoder *decoder, const rsf_packet *packet, rsf_message *message);

/* The message as one frame, delimiter included. Gives the number of bytes, or 0 if a field is out of range or the kind unknown. */
size_t rsf_encode(const rsf_message *message, uint16_t sequence, uint8_t out[RSF_MAX_FRAME]);

#ifdef __cplusplus
}
#endif
#endif
