/* usage: fuzz RUNS SEED < frames
 * Throws noise and damaged frames at the decoder and the parser. Build with -fsanitize=address,undefined -fno-sanitize-recover=all: a finding ends the
 * process. Half of the damaged packets get a correct CRC again, or nothing behind the CRC would ever be reached. What is accepted must
 * survive being encoded and read again. */
#include "../recslowfast_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t dice(uint32_t sides)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state >> 32) % sides);
}

static rsf_decoder decoder;
static unsigned long read_ok, accepted;

static void feed(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rsf_packet packet;
        rsf_message message, again;
        if (!rsf_push(&decoder, bytes[i], &packet)) continue;
        accepted++;
        uint16_t sequence = packet.sequence;
        if (rsf_read(&decoder, &packet, &message) != RSF_OK) continue;
        read_ok++;
        uint8_t first[RSF_MAX_FRAME], second[RSF_MAX_FRAME];
        size_t length = rsf_encode(&message, sequence, first);
        rsf_decoder fresh;
        rsf_decoder_init(&fresh);
        bool back = false;
        for (size_t k = 0; k < length; k++) back = rsf_push(&fresh, first[k], &packet);
        if (length == 0 || !back || rsf_read(&fresh, &packet, &again) != RSF_OK || rsf_encode(&again, sequence, second) != length ||
            memcmp(first, second, length) != 0) {
            fprintf(stderr, "kind %02X does not come back the way it went\n", message.kind);
            abort();
        }
    }
}

/* COBS for any length up to 512: code bytes, runs of 254. */
static size_t stuff(const uint8_t *in, size_t count, uint8_t *out)
{
    size_t code = 0, at = 1;
    for (size_t i = 0; i < count; i++) {
        if (in[i] != 0) out[at++] = in[i];
        if (in[i] == 0 || at - code == 255) {
            out[code] = (uint8_t)(at - code);
            code = at++;
        }
    }
    out[code] = (uint8_t)(at - code);
    out[at++] = 0;
    return at;
}

/* In read-only memory, where a write would end the process. */
static const rsf_message constants[] = {
    {.kind = RSF_SET_BUDGET, .body.set_budget = {{true, 33000}, {true, 990}, {true, 10000}, {true, 7500}}},
    {.kind = RSF_SET_REPORT_RATE, .body.set_report_rate = {200, 1}},
    {.kind = RSF_HELLO, .body.hello = {.software = {2, "me"}, .width = 150}},
    {.kind = RSF_STATUS, .body.status = {.paused = true, .temperature_cc = {true, -1}, .recent_count = 2, .recent = {1, 2}}},
    {.kind = RSF_STATUS, .body.status = {.recent_count = 33}}, /* too many: refused */
    {.kind = RSF_DETECTIONS, .body.detections = {.found = 1, .count = 1, .items = {{.score = 1000}}}},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        uint8_t frame[RSF_MAX_FRAME];
        if ((rsf_encode(&constants[i], 1, frame) == 0) != (i == 4)) return 3;
    }
    unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    state = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1) * 0x9E3779B97F4A7C15u | 1;
    static uint8_t corpus[64][512];
    static size_t lengths[64];
    size_t count = 0;
    for (int byte; count < 64 && (byte = getchar()) != EOF;) {
        corpus[count][lengths[count]++] = (uint8_t)byte;
        if (byte == 0) count++;
    }
    if (count == 0) return 2;
    rsf_decoder_init(&decoder);
    for (unsigned long run = 0; run < runs; run++) {
        uint8_t packet[512], wire[600];
        size_t length;
        if (dice(8) == 0) {
            length = dice(400);
            for (size_t i = 0; i < length; i++) wire[i] = (uint8_t)dice(256);
            feed(wire, length);
            continue;
        }
        size_t pick = dice((uint32_t)count);
        rsf_decoder one;
        rsf_packet view;
        rsf_decoder_init(&one);
        for (size_t i = 0; i < lengths[pick]; i++) rsf_push(&one, corpus[pick][i], &view);
        length = one.length;
        memcpy(packet, one.buffer, length);
        for (uint32_t hits = dice(6); hits > 0; hits--) {
            size_t at = dice((uint32_t)length);
            switch (dice(4)) {
            case 0: packet[at] ^= (uint8_t)(1u << dice(8)); break;
            case 1: packet[at] = (uint8_t)dice(256); break;
            case 2: /* drop */
                if (length > 9) memmove(packet + at, packet + at + 1, --length - at);
                break;
            default: /* double */
                memmove(packet + at + 1, packet + at, length - at);
                length++;
            }
        }
        if (dice(2) == 0 && length >= 8) {
            packet[0] = (uint8_t)(0x10 | dice(16));
            uint32_t crc = rsf_crc32(packet, length - 4);
            for (int i = 0; i < 4; i++) packet[length - 4 + i] = (uint8_t)(crc >> 8 * i);
        }
        feed(wire, stuff(packet, length, wire));
    }
    printf("%lu runs, %lu packets accepted, %lu messages read and encoded again\n", runs, accepted, read_ok);
    return 0;
}
