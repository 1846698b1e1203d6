// A reactor: no main, but `_initialize` (which runs the constructor below) and exported functions
// with parameters. `elfin build reactor.wasm --invoke gcd` makes a program that takes them as arguments.
#include <stdint.h>
#include <stdio.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static uint8_t composite[1000];
static int32_t calls = 100;

__attribute__((constructor)) static void sieve(void) {
    for (uint32_t i = 2; i < sizeof composite; i++)
        for (uint32_t k = 2 * i; k < sizeof composite; k += i) composite[k] = 1;
    calls = 0;
}

EXPORT(gcd) int32_t gcd(int32_t a, int32_t b) {
    while (b) {
        int32_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

EXPORT(fibonacci) int64_t fibonacci(int32_t n) {
    int64_t a = 0, b = 1;
    for (; n > 0; n--) {
        int64_t t = a + b;
        a = b;
        b = t;
    }
    return a;
}

EXPORT(hypotenuse) double hypotenuse(double a, double b) { return __builtin_sqrt(a * a + b * b); }

EXPORT(half) float half(float x) { return x / 2; }

// Right only after `_initialize`.
EXPORT(prime) int32_t prime(uint32_t n) { return n > 1 && n < sizeof composite && !composite[n]; }

EXPORT(greet) void greet(int32_t times) {
    for (int32_t i = 0; i < times; i++) printf("greeting %d\n", (int)++calls);
    fflush(stdout);
}
