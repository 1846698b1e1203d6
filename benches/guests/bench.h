// What every guest shares: a seeded generator, a checksum, and the driver.
//
// A guest is one function, `round`, that does a fixed piece of work and returns its checksum. The
// driver runs it `rounds` times (or argv[1] times: a slow machine asks for 1), wants the same
// checksum each time, wants it to be the one written in the source, and prints one line. Exit
// status 0 means that all of this held.
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// xorshift32: good enough to be unpredictable to a branch predictor, the same on every machine.
static uint32_t rng_state = 2463534242u;

static inline void rng_seed(uint32_t seed) { rng_state = seed ? seed : 1u; }

static inline uint32_t rng(void) {
    uint32_t x = rng_state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return rng_state = x;
}

// Folds one word into a checksum.
static inline uint32_t fold(uint32_t sum, uint32_t word) {
    sum ^= word;
    sum *= 16777619u;
    return sum ^ (sum >> 15);
}

static inline uint32_t fold64(uint32_t sum, uint64_t word) {
    return fold(fold(sum, (uint32_t)word), (uint32_t)(word >> 32));
}

static inline uint32_t fold_f64(uint32_t sum, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return fold64(sum, bits);
}

static inline uint32_t fold_bytes(uint32_t sum, const void *bytes, size_t len) {
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < len; i++) sum = fold(sum, p[i]);
    return sum;
}

__attribute__((unused, noreturn)) static void fail(const char *what) {
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

// The volatile pointer keeps the optimiser from proving that all rounds are the same work.
static int bench_main(int argc, char **argv, const char *name, int rounds, uint32_t expected,
                      uint32_t (*round)(void)) {
    uint32_t (*volatile hidden)(void) = round;
    if (argc > 1) rounds = atoi(argv[1]);
    uint32_t sum = expected;
    for (int i = 0; i < rounds && sum == expected; i++) sum = hidden();
    printf("%s: checksum %08x %s\n", name, (unsigned)sum, sum == expected ? "ok" : "WRONG");
    return sum == expected ? 0 : 1;
}

#endif
