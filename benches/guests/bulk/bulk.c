// memcpy, memmove (both overlaps), memset and memcmp for every size from 8 bytes to 1 MiB, sizes
// not known to the compiler, plus copies of small structs whose size is.
#include "../bench.h"

#define LARGEST (1u << 20)
#define BYTES_PER_SIZE (3u << 20)

static uint8_t from[LARGEST + 64], to[LARGEST + 64];

struct small {
    uint32_t words[9];
};

static uint32_t bulk_round(void) {
    rng_seed(99);
    for (uint32_t i = 0; i < sizeof from; i += 4) {
        uint32_t word = rng();
        memcpy(from + i, &word, 4);
    }
    memset(to, 0, sizeof to);
    uint32_t sum = 0;
    for (uint32_t size = 8; size <= LARGEST; size *= 2) {
        uint32_t times = BYTES_PER_SIZE / size;
        if (times > 40000) times = 40000;
        for (uint32_t i = 0; i < times; i++) {
            // Wobbles by up to 7 bytes and over unaligned addresses; volatile hides the size.
            volatile uint32_t hidden = size - (i & 7);
            uint32_t len = hidden, shift = i * 5 & 31;
            memcpy(to + shift, from + (i & 15), len);
            memmove(to + (shift ^ 3), to + shift, len);
            memset(to + (i & 31), (int)i, len / 4);
            sum += to[shift + len / 2] + to[shift + len - 1];
        }
        sum = fold(sum, (uint32_t)memcmp(to, from, size) >> 31);
    }
    struct small ring[64];
    memset(ring, 0, sizeof ring);
    for (uint32_t i = 0; i < 60000; i++) {
        struct small *slot = &ring[i * 7 & 63];
        *slot = ring[i & 63];
        slot->words[i % 9] += i;
    }
    sum = fold_bytes(sum, ring, sizeof ring);
    return fold_bytes(sum, to, 4096);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "bulk", 110, 0xd144137fu, bulk_round); }
