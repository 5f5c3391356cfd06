/* Reads raw link bytes on stdin and says what it heard, one line each: the message and its bytes when encoded again, or why not; the counters last.
 * ../../tests/common/mod.rs says the same about the same bytes in Rust. */
#include "../recslowfast_link.h"

#include <stdio.h>
#include <string.h>

static void opt_u32(const char *name, rsf_opt_u32 v)
{
    v.present ? printf(" %s=%lu", name, (unsigned long)v.value) : printf(" %s=-", name);
}

static void opt_i16(const char *name, rsf_opt_i16 v)
{
    v.present ? printf(" %s=%d", name, v.value) : printf(" %s=-", name);
}

#define U(name, value) printf(" %s=%lu", name, (unsigned long)(value))
#define T(name, value) (printf(" %s=\"", name), fwrite((value).bytes, 1, (value).length, stdout), printf("\""))

static void dump(const rsf_message *m)
{
    switch (m->kind) {
    case RSF_HELLO: {
        const rsf_hello *h = &m->body.hello;
        printf(" hello");
        T("software", h->software), T("board", h->board), T("network", h->network), T("address", h->address);
        U("width", h->width), U("height", h->height), U("classes", h->classes);
        break;
    }
    case RSF_STATUS: {
        const rsf_status *s = &m->body.status;
        printf(" status");
        U("frame", s->frame), U("uptime_ms", s->uptime_ms), U("camera", s->camera), U("engine", s->engine), U("mode", s->mode);
        U("paused", s->paused), U("steps", s->steps), U("limit", s->limit), U("limited_by", s->limited_by), U("stopped", s->stopped);
        U("skip", s->skip), U("age_us", s->age_us), U("deadline_us", s->deadline_us);
        opt_u32("power_mw", s->power_mw), opt_u32("power_budget_mw", s->power_budget_mw), opt_i16("temperature_cc", s->temperature_cc);
        U("capture_cfps", s->capture_cfps), U("inference_cfps", s->inference_cfps), U("dropped", s->dropped);
        printf(" recent=");
        for (int i = 0; i < s->recent_count; i++) printf(i ? ",%d" : "%d", s->recent[i]);
        break;
    }
    case RSF_DETECTIONS: {
        const rsf_detections *d = &m->body.detections;
        printf(" detections");
        U("frame", d->frame), U("age_us", d->age_us), U("found", d->found);
        printf(" items=");
        for (int i = 0; i < d->count; i++) {
            const rsf_detection *x = &d->items[i];
            printf("%s%u:%u:%lu:%u:%u:%u:%u:%lu", i ? "," : "", x->class_number, x->score, (unsigned long)x->track, x->left, x->top, x->width,
                   x->height, (unsigned long)x->area);
        }
        break;
    }
    case RSF_LOG:
        printf(" log");
        U("level", m->body.log.level), U("uptime_ms", m->body.log.uptime_ms), T("text", m->body.log.text);
        break;
    case RSF_CLASS_NAME:
        printf(" class_name");
        U("class", m->body.class_name.class_number), T("name", m->body.class_name.name);
        break;
    case RSF_ACK:
        printf(" ack");
        U("sequence", m->body.ack.sequence), U("kind", m->body.ack.kind), U("result", m->body.ack.result);
        break;
    case RSF_SET_BUDGET: {
        const rsf_set_budget *b = &m->body.set_budget;
        printf(" set_budget");
        opt_u32("deadline_us", b->deadline_us);
        b->percentile_pm.present ? printf(" percentile_pm=%u", b->percentile_pm.value) : printf(" percentile_pm=-");
        opt_u32("power_mw", b->power_mw), opt_i16("temperature_cc", b->temperature_cc);
        break;
    }
    case RSF_SET_MODE:
        printf(" set_mode");
        U("mode", m->body.set_mode.mode);
        break;
    case RSF_PAUSE: printf(" pause"); break;
    case RSF_RESUME: printf(" resume"); break;
    case RSF_RESET_STATE: printf(" reset_state"); break;
    case RSF_ASK_STATUS: printf(" ask_status"); break;
    case RSF_SET_REPORT_RATE:
        printf(" set_report_rate");
        U("status_period_ms", m->body.set_report_rate.status_period_ms), U("detections_period_ms", m->body.set_report_rate.detections_period_ms);
        break;
    case RSF_ASK_HELLO: printf(" ask_hello"); break;
    }
}

int main(void)
{
    static rsf_decoder decoder;
    rsf_decoder_init(&decoder);
    for (int byte; (byte = getchar()) != EOF;) {
        rsf_packet packet;
        rsf_message message;
        if (!rsf_push(&decoder, (uint8_t)byte, &packet)) continue;
        uint16_t sequence = packet.sequence;
        uint8_t kind = packet.kind;
        switch (rsf_read(&decoder, &packet, &message)) {
        case RSF_UNKNOWN: printf("%u unknown %02X\n", sequence, kind); continue;
        case RSF_MALFORMED: printf("%u malformed %02X\n", sequence, kind); continue;
        case RSF_OUT_OF_RANGE: printf("%u outside %02X\n", sequence, kind); continue;
        case RSF_OK: break;
        }
        printf("%u", sequence);
        dump(&message);
        uint8_t frame[RSF_MAX_FRAME];
        size_t length = rsf_encode(&message, sequence, frame);
        printf("\nframe ");
        for (size_t i = 0; i < length; i++) printf("%02X", frame[i]);
        printf("\n");
    }
    const rsf_counters *c = &decoder.counters;
    printf("counters frames=%lu cobs=%lu overlong=%lu short=%lu crc=%lu version=%lu unknown=%lu malformed=%lu lost=%lu\n",
           (unsigned long)c->frames, (unsigned long)c->cobs, (unsigned long)c->overlong, (unsigned long)c->short_, (unsigned long)c->crc,
           (unsigned long)c->version, (unsigned long)c->unknown, (unsigned long)c->malformed, (unsigned long)c->lost);
    return 0;
}
