// Bits counted and looked for: distances between keys of 256 bits, ranks in a bit map, and greatest common divisors by
// shifts.
#include "../bench.h"

#define KEYS 256
#define WORDS 4096

static uint64_t keys[KEYS][4], map[WORDS];

static uint64_t rng64(void) {
    uint64_t high = rng();
    return high << 32 | rng();
}

static uint32_t nearest(int key) {
    uint32_t best = 256, at = 0;
    for (int other = 0; other < KEYS; other++) {
        uint32_t distance = 0;
        for (int word = 0; word < 4; word++)
            distance += (uint32_t)__builtin_popcountll(keys[key][word] ^ keys[other][word]);
        if (other != key && distance < best) {
            best = distance;
            at = (uint32_t)other;
        }
    }
    return best << 16 | at;
}

static uint64_t gcd(uint64_t a, uint64_t b) {
    int shift = __builtin_ctzll(a | b);
    a >>= __builtin_ctzll(a);
    do {
        b >>= __builtin_ctzll(b);
        if (a > b) {
            uint64_t larger = a;
            a = b;
            b = larger;
        }
        b -= a;
    } while (b);
    return a << shift;
}

static uint32_t bits_round(void) {
    rng_seed(11);
    for (int key = 0; key < KEYS; key++)
        for (int word = 0; word < 4; word++) keys[key][word] = rng64();
    for (int word = 0; word < WORDS; word++) map[word] = rng64() & rng64();
    uint32_t sum = 0;
    for (int key = 0; key < KEYS; key++) sum = fold(sum, nearest(key));
    uint64_t rank = 0, positions = 0, lengths = 0;
    for (int word = 0; word < WORDS; word++) {
        rank += (uint64_t)__builtin_popcountll(map[word]);
        lengths += 64 - (uint64_t)__builtin_clzll(map[word] | 1);
        for (uint64_t left = map[word]; left; left &= left - 1) positions += (uint64_t)__builtin_ctzll(left) * rank;
    }
    sum = fold64(fold64(fold64(sum, rank), positions), lengths);
    for (int i = 0; i < 4096; i++) sum = fold64(sum, gcd(rng64() >> 16 | 1, rng64() >> (i & 31) | 1));
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "bits", 900, 0x031d6811u, bits_round); }
