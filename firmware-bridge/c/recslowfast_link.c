/* See recslowfast_link.h. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "recslowfast_link.h"

#include <string.h>

uint32_t rsf_crc32(const uint8_t *bytes, size_t count)
{
    /* A nibble at a time: 64 bytes of table. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return crc ^ 0xFFFFFFFFu;
}

/* ---- Payload: one function per message that reads or writes, so the two directions cannot disagree. ---- */

typedef struct {
    uint8_t *at;  /* written through only while writing */
    uint8_t *end;
    bool writing;
    bool broken;  /* malformed, or out of room */
    bool outside; /* a value out of range */
} cursor;

static void put(cursor *c, uint8_t byte)
{
    if (c->at == c->end) {
        c->broken = true;
    } else {
        *c->at++ = byte;
    }
}

static uint8_t get(cursor *c)
{
    if (c->broken || c->at == c->end) {
        c->broken = true;
        return 0;
    }
    return *c->at++;
}

static void u8(cursor *c, uint8_t *value)
{
    if (c->writing) {
        put(c, *value);
    } else {
        *value = get(c);
    }
}

/* Seven bits a byte, least significant first; bits is 16 or 32. */
static void varint(cursor *c, uint32_t *value, unsigned bits)
{
    if (c->writing) {
        uint32_t rest = *value;
        while (rest > 0x7F) {
            put(c, (uint8_t)(rest | 0x80u));
            rest >>= 7;
        }
        put(c, (uint8_t)rest);
        return;
    }
    *value = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        uint8_t byte = get(c);
        *value |= (uint32_t)(byte & 0x7Fu) << shift;
        if ((byte & 0x80u) == 0) {
            /* The last possible byte may only hold the bits that are left. */
            if (shift + 7 > bits && (byte >> (bits - shift)) != 0) {
                c->broken = true;
            }
            return;
        }
    }
    c->broken = true;
}

static void u32(cursor *c, uint32_t *value)
{
    varint(c, value, 32);
}

static void u16(cursor *c, uint16_t *value)
{
    uint32_t wide = *value;
    varint(c, &wide, 16);
    if (!c->writing) {
        *value = (uint16_t)wide;
    }
}

static void i16(cursor *c, int16_t *value)
{
    uint16_t zigzag = *value < 0 ? (uint16_t)(2u * (uint16_t)(-(*value + 1)) + 1u) : (uint16_t)(2u * (uint16_t)*value);
    u16(c, &zigzag);
    if (!c->writing) {
        *value = (zigzag & 1u) != 0 ? (int16_t)(-(int16_t)(zigzag >> 1) - 1) : (int16_t)(zigzag >> 1);
    }
}

static void flag(cursor *c, bool *value)
{
    uint8_t byte = *value ? 1 : 0;
    u8(c, &byte);
    if (byte > 1) {
        c->broken = true;
    }
    if (!c->writing) {
        *value = byte == 1;
    }
}

static void within(cursor *c, uint32_t value, uint32_t least, uint32_t most)
{
    if (value < least || value > most) {
        c->outside = true;
    }
}

static void opt_u32(cursor *c, rsf_opt_u32 *field, bool zero_lifts, uint32_t least, uint32_t most)
{
    flag(c, &field->present);
    if (!field->present) {
        return;
    }
    u32(c, &field->value);
    if (!(zero_lifts && field->value == 0)) {
        within(c, field->value, least, most);
    }
}

static void opt_u16(cursor *c, rsf_opt_u16 *field, uint16_t least, uint16_t most)
{
    flag(c, &field->present);
    if (field->present) {
        u16(c, &field->value);
        within(c, field->value, least, most);
    }
}

static void opt_i16(cursor *c, rsf_opt_i16 *field, bool zero_lifts, int16_t least, int16_t most)
{
    flag(c, &field->present);
    if (!field->present) {
        return;
    }
    i16(c, &field->value);
    if (!(zero_lifts && field->value == 0) && (field->value < least || field->value > most)) {
        c->outside = true;
    }
}

/* Well-formed UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t lead = s[i++];
        size_t more;
        uint8_t low = 0x80, high = 0xBF; /* bounds of the first continuation byte */
        if (lead < 0x80) {
            continue;
        } else if (lead >= 0xC2 && lead <= 0xDF) {
            more = 1;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            more = 2;
            low = lead == 0xE0 ? 0xA0 : 0x80;
            high = lead == 0xED ? 0x9F : 0xBF;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            more = 3;
            low = lead == 0xF0 ? 0x90 : 0x80;
            high = lead == 0xF4 ? 0x8F : 0xBF;
        } else {
            return false;
        }
        for (; more > 0; more--, low = 0x80, high = 0xBF) {
            if (i == n || s[i] < low || s[i] > high) {
                return false;
            }
            i++;
        }
    }
    return true;
}

static void text(cursor *c, uint8_t *length, char *bytes, uint8_t most)
{
    uint32_t count = *length;
    u32(c, &count);
    if (c->broken || count > most || count > (size_t)(c->end - c->at)) {
        c->broken = true;
        return;
    }
    if (c->writing) {
        memcpy(c->at, bytes, count);
    } else {
        memcpy(bytes, c->at, count);
        bytes[count] = '\0';
        *length = (uint8_t)count;
    }
    if (!is_utf8(c->at, count)) {
        c->broken = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (c->at[i] < 0x20 || c->at[i] == 0x7F) {
            c->outside = true;
        }
    }
    c->at += count;
}

/* The count of a list; 0 on error, so that a loop over it ends. */
static uint8_t count(cursor *c, uint8_t *field, uint8_t most)
{
    uint32_t wide = *field;
    u32(c, &wide);
    if (c->broken || wide > most) {
        c->broken = true;
        wide = 0;
    }
    if (!c->writing) {
        *field = (uint8_t)wide;
    }
    return (uint8_t)wide;
}

static void hello(cursor *c, rsf_hello *m)
{
    text(c, &m->software.length, m->software.bytes, 24);
    text(c, &m->board.length, m->board.bytes, 32);
    text(c, &m->network.length, m->network.bytes, 32);
    text(c, &m->address.length, m->address.bytes, 48);
    u16(c, &m->width);
    u16(c, &m->height);
    u16(c, &m->classes);
}

static void status(cursor *c, rsf_status *m)
{
    u32(c, &m->frame);
    u32(c, &m->uptime_ms);
    u8(c, &m->camera);
    u8(c, &m->engine);
    u8(c, &m->mode);
    flag(c, &m->paused);
    u8(c, &m->steps);
    u8(c, &m->limit);
    u8(c, &m->limited_by);
    u8(c, &m->stopped);
    u8(c, &m->skip);
    u32(c, &m->age_us);
    u32(c, &m->deadline_us);
    opt_u32(c, &m->power_mw, false, 0, 1000000);
    opt_u32(c, &m->power_budget_mw, false, 1, 1000000);
    opt_i16(c, &m->temperature_cc, false, -5000, 15000);
    u16(c, &m->capture_cfps);
    u16(c, &m->inference_cfps);
    u32(c, &m->dropped);
    uint8_t n = count(c, &m->recent_count, RSF_MAX_RECENT);
    for (uint8_t i = 0; i < n; i++) {
        u8(c, &m->recent[i]);
    }
}

static void detections(cursor *c, rsf_detections *m)
{
    u32(c, &m->frame);
    u32(c, &m->age_us);
    u16(c, &m->found);
    uint8_t n = count(c, &m->count, RSF_MAX_DETECTIONS);
    within(c, m->found, n, 0xFFFF);
    for (uint8_t i = 0; i < n && !c->broken; i++) {
        rsf_detection *d = &m->items[i];
        u16(c, &d->class_number);
        u16(c, &d->score);
        u32(c, &d->track);
        u16(c, &d->left);
        u16(c, &d->top);
        u16(c, &d->width);
        u16(c, &d->height);
        u32(c, &d->area);
        within(c, d->score, 0, 1000);
        within(c, (uint32_t)d->left + d->width, 0, 10000);
        within(c, (uint32_t)d->top + d->height, 0, 10000);
        within(c, d->area, 0, 1000000);
    }
}

static void log_line(cursor *c, rsf_log *m)
{
    u8(c, &m->level);
    u32(c, &m->uptime_ms);
    text(c, &m->text.length, m->text.bytes, 160);
}

static void class_name(cursor *c, rsf_class_name *m)
{
    u16(c, &m->class_number);
    text(c, &m->name.length, m->name.bytes, 24);
}

static void ack(cursor *c, rsf_ack *m)
{
    u16(c, &m->sequence);
    u8(c, &m->kind);
    u8(c, &m->result);
}

static void set_budget(cursor *c, rsf_set_budget *m)
{
    opt_u32(c, &m->deadline_us, true, 1000, 60000000);
    opt_u16(c, &m->percentile_pm, 500, 999);
    opt_u32(c, &m->power_mw, true, 500, 1000000);
    opt_i16(c, &m->temperature_cc, true, 2000, 12000);
}

static void set_report_rate(cursor *c, rsf_set_report_rate *m)
{
    u16(c, &m->status_period_ms);
    u16(c, &m->detections_period_ms);
    if (m->status_period_ms != 0) {
        within(c, m->status_period_ms, 20, 60000);
    }
    within(c, m->detections_period_ms, 0, 60000);
}

static rsf_result payload(cursor *c, rsf_message *m)
{
    switch (m->kind) {
    case RSF_HELLO: hello(c, &m->body.hello); break;
    case RSF_STATUS: status(c, &m->body.status); break;
    case RSF_DETECTIONS: detections(c, &m->body.detections); break;
    case RSF_LOG: log_line(c, &m->body.log); break;
    case RSF_CLASS_NAME: class_name(c, &m->body.class_name); break;
    case RSF_ACK: ack(c, &m->body.ack); break;
    case RSF_SET_BUDGET: set_budget(c, &m->body.set_budget); break;
    case RSF_SET_MODE:
        u8(c, &m->body.set_mode.mode);
        within(c, m->body.set_mode.mode, RSF_MODE_ACCURACY, RSF_MODE_SAVER);
        break;
    case RSF_SET_REPORT_RATE: set_report_rate(c, &m->body.set_report_rate); break;
    case RSF_PAUSE:
    case RSF_RESUME:
    case RSF_RESET_STATE:
    case RSF_ASK_STATUS:
    case RSF_ASK_HELLO: break;
    default: return RSF_UNKNOWN;
    }
    return c->broken ? RSF_MALFORMED : c->outside ? RSF_OUT_OF_RANGE : RSF_OK;
}

/* ---- Frames ---- */

void rsf_decoder_init(rsf_decoder *decoder)
{
    memset(decoder, 0, sizeof *decoder);
}

static bool judge(rsf_decoder *d, bool intact, rsf_packet *packet)
{
    if (d->overlong) {
        d->counters.overlong++;
        return false;
    }
    if (!intact) {
        d->counters.cobs++;
        return false;
    }
    if (d->length < 8) {
        d->counters.short_++;
        return false;
    }
    const uint8_t *crc = d->buffer + d->length - 4;
    uint32_t said = crc[0] | (uint32_t)crc[1] << 8 | (uint32_t)crc[2] << 16 | (uint32_t)crc[3] << 24;
    if (rsf_crc32(d->buffer, (size_t)d->length - 4) != said) {
        d->counters.crc++;
        return false;
    }
    if (d->buffer[0] >> 4 != RSF_WIRE_VERSION >> 4) {
        d->counters.version++;
        return false;
    }
    packet->minor = d->buffer[0] & 15u;
    packet->kind = d->buffer[1];
    packet->sequence = (uint16_t)(d->buffer[2] | ((uint16_t)d->buffer[3] << 8));
    packet->payload = d->buffer + 4;
    packet->length = (uint8_t)(d->length - 8);
    d->counters.frames++;
    uint16_t missing = (uint16_t)(packet->sequence - d->sequence - 1u);
    if (d->heard && missing < 0x8000u) {
        d->counters.lost += missing;
    }
    d->heard = true;
    d->sequence = packet->sequence;
    return true;
}

static void keep(rsf_decoder *d, uint8_t byte)
{
    if (d->length == RSF_MAX_PACKET) {
        d->overlong = true;
    } else {
        d->buffer[d->length++] = byte;
    }
}

bool rsf_push(rsf_decoder *d, uint8_t byte, rsf_packet *packet)
{
    if (byte == 0) {
        bool ended = d->started;
        d->started = false;
        return ended && judge(d, d->run == 0, packet);
    }
    if (d->started && d->run > 0) {
        keep(d, byte);
        d->run--;
        return false;
    }
    if (!d->started) {
        d->started = true;
        d->overlong = false;
        d->length = 0;
    } else if (!d->chained) {
        keep(d, 0);
    }
    /* A code byte: byte - 1 bytes follow, then a zero was taken out unless the run is the longest one. */
    d->run = (uint8_t)(byte - 1);
    d->chained = byte == 0xFF;
    return false;
}

rsf_result rsf_read(rsf_decoder *decoder, const rsf_packet *packet, rsf_message *message)
{
    cursor c = {(uint8_t *)packet->payload, (uint8_t *)packet->payload + packet->length, false, false, false};
    memset(message, 0, sizeof *message);
    message->kind = packet->kind;
    rsf_result result = payload(&c, message);
    if (result == RSF_UNKNOWN) {
        decoder->counters.unknown++;
    } else if (result != RSF_OK) {
        decoder->counters.malformed++;
    }
    return result;
}

size_t rsf_encode(const rsf_message *message, uint16_t sequence, uint8_t out[RSF_MAX_FRAME])
{
    /* The packet is built one byte in, then stuffed where it lies: it never holds more than one run of 254. */
    uint8_t *packet = out + 1;
    packet[0] = RSF_WIRE_VERSION;
    packet[1] = message->kind;
    packet[2] = (uint8_t)sequence;
    packet[3] = (uint8_t)(sequence >> 8);
    cursor c = {packet + 4, packet + 4 + RSF_MAX_PAYLOAD, true, false, false};
    /* While writing, payload() only reads the message: it may lie in read-only memory. */
    if (payload(&c, (rsf_message *)message) != RSF_OK) {
        return 0;
    }
    size_t length = (size_t)(c.at - packet);
    uint32_t crc = rsf_crc32(packet, length);
    for (unsigned shift = 0; shift < 32; shift += 8) {
        packet[length++] = (uint8_t)(crc >> shift);
    }
    uint8_t *code = out;
    uint8_t *end = packet + length;
    for (uint8_t *at = packet; at < end; at++) {
        if (*at == 0) {
            *code = (uint8_t)(at - code);
            code = at;
        }
    }
    *code = (uint8_t)(end - code);
    *end = 0;
    return length + 2;
}
