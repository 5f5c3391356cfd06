/* Prints one line for every status of a recslowfast board, lights the LED while something is seen, and sends a power budget once.
 *
 * Wiring: the board's UART (3.3 V!) to Serial1, 115200 baud. A Uno has only one UART: use SoftwareSerial there, at 38400 baud or less.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <Arduino.h>
#include <recslowfast_link.h>

static rsf_decoder decoder;
static rsf_message message; /* static, not on the stack: a quarter of a kilobyte */
static uint16_t next_sequence;

/* The last command, kept until it is acknowledged. */
static uint8_t waiting[RSF_MAX_FRAME];
static size_t waiting_length;
static uint16_t waiting_sequence;
static unsigned long waiting_since;

static void send(const rsf_message &command)
{
    waiting_sequence = next_sequence++;
    waiting_length = rsf_encode(&command, waiting_sequence, waiting);
    waiting_since = millis();
    Serial1.write(waiting, waiting_length);
}

static void send_bare(uint8_t kind)
{
    rsf_message command = {};
    command.kind = kind;
    send(command);
}

static void send_budget(uint32_t milliwatts)
{
    rsf_message command = {};
    command.kind = RSF_SET_BUDGET;
    command.body.set_budget.power_mw.present = true;
    command.body.set_budget.power_mw.value = milliwatts;
    send(command);
}

static void show(const rsf_status &status)
{
    static const char *const cameras[] = {"searching", "negotiating", "streaming", "stalled", "lost"};
    Serial.print(status.camera <= RSF_CAMERA_LOST ? cameras[status.camera] : "?");
    Serial.print(" steps ");
    Serial.print(status.steps);
    Serial.print("/");
    Serial.print(status.limit);
    Serial.print(" age ");
    Serial.print(status.age_us / 1000);
    Serial.print(" ms");
    if (status.power_mw.present) {
        Serial.print(" power ");
        Serial.print(status.power_mw.value);
        Serial.print(" mW");
    }
    Serial.print(" damaged frames ");
    Serial.println(decoder.counters.crc + decoder.counters.cobs + decoder.counters.overlong + decoder.counters.short_);
}

void setup()
{
    pinMode(LED_BUILTIN, OUTPUT);
    Serial.begin(115200);
    Serial1.begin(115200);
    rsf_decoder_init(&decoder);
    Serial1.write((uint8_t)0);  /* ends whatever the line picked up before */
    send_bare(RSF_ASK_HELLO);   /* opens the command sequence */
}

void loop()
{
    if (waiting_length > 0 && millis() - waiting_since > 250) {
        Serial1.write(waiting, waiting_length); /* the same frame, the same sequence: never carried out twice */
        waiting_since = millis();
    }
    while (Serial1.available() > 0) {
        rsf_packet packet;
        if (!rsf_push(&decoder, (uint8_t)Serial1.read(), &packet) || rsf_read(&decoder, &packet, &message) != RSF_OK) {
            continue;
        }
        switch (message.kind) {
        case RSF_HELLO:
            Serial.println(message.body.hello.board.bytes);
            break;
        case RSF_STATUS:
            show(message.body.status);
            break;
        case RSF_DETECTIONS:
            digitalWrite(LED_BUILTIN, message.body.detections.found > 0 ? HIGH : LOW);
            break;
        case RSF_ACK:
            if (waiting_length > 0 && message.body.ack.sequence == waiting_sequence) {
                bool greeted = message.body.ack.kind == RSF_ASK_HELLO;
                waiting_length = 0;
                if (greeted) {
                    send_budget(10000);
                }
            }
            break;
        default:
            break;
        }
    }
}
