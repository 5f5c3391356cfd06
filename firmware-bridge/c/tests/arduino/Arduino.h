/* As much of Arduino as the example sketches use, so that a test can compile them with the system's C++ compiler. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define LED_BUILTIN 13
#define OUTPUT 1
#define HIGH 1
#define LOW 0
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
unsigned long millis();

struct HardwareSerial {
    void begin(unsigned long baud);
    int available();
    int read();
    size_t write(uint8_t byte);
    size_t write(const uint8_t *bytes, size_t count);
    void print(const char *text);
    void print(unsigned long number);
    void println(const char *text);
    void println(unsigned long number);
};
extern HardwareSerial Serial, Serial1;
