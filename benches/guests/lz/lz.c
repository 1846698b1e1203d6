// An LZ77 compressor with hash chains and lazy matching, its output in a byte format of literal
// runs and matches, and the decompressor; the round trip is compared.
#include "../bench.h"

#define SIZE (512u << 10)
#define WINDOW (1u << 16)
#define HASH_BITS 15
#define CHAIN 24

static uint8_t input[SIZE + 8], packed[SIZE + SIZE / 16 + 64], output[SIZE];
static int32_t head[1 << HASH_BITS], prev[WINDOW];

static uint32_t hash4(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word * 2654435761u >> (32 - HASH_BITS);
}

static void insert(uint32_t at) {
    uint32_t h = hash4(input + at);
    prev[at & (WINDOW - 1)] = head[h];
    head[h] = (int32_t)at;
}

static uint32_t match_len(const uint8_t *a, const uint8_t *b, const uint8_t *end) {
    const uint8_t *start = b;
    while (b + 8 <= end) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y) return (uint32_t)(b - start) + (uint32_t)__builtin_ctzll(x ^ y) / 8;
        a += 8, b += 8;
    }
    while (b < end && *a == *b) a++, b++;
    return (uint32_t)(b - start);
}

static uint32_t find(uint32_t at, uint32_t *distance) {
    uint32_t best = 3;
    int32_t candidate = head[hash4(input + at)];
    for (int tries = CHAIN; tries > 0 && candidate >= 0 && at - (uint32_t)candidate < WINDOW; tries--) {
        if (input[(uint32_t)candidate + best] == input[at + best]) {
            uint32_t len = match_len(input + candidate, input + at, input + SIZE);
            if (len > best) {
                best = len;
                *distance = at - (uint32_t)candidate;
            }
        }
        candidate = prev[(uint32_t)candidate & (WINDOW - 1)];
    }
    return best > 3 ? best : 0;
}

static uint8_t *put_count(uint8_t *to, uint32_t n) {
    for (; n >= 128; n >>= 7) *to++ = (uint8_t)(n | 128);
    *to++ = (uint8_t)n;
    return to;
}

static uint32_t get_count(const uint8_t **from) {
    uint32_t n = 0, shift = 0, byte;
    do {
        byte = *(*from)++;
        n |= (byte & 127) << shift;
        shift += 7;
    } while (byte & 128);
    return n;
}

static size_t compress(void) {
    memset(head, 0xff, sizeof head);
    uint8_t *to = packed;
    uint32_t at = 0, literals = 0;
    while (at + 8 < SIZE) {
        uint32_t distance = 0, len = find(at, &distance);
        insert(at);
        if (len && at + 9 < SIZE) {
            uint32_t later = 0, longer = find(at + 1, &later);
            if (longer > len + 1) len = 0; // the next position does better
        }
        if (!len) {
            at++;
            continue;
        }
        to = put_count(to, at - literals);
        memcpy(to, input + literals, at - literals);
        to += at - literals;
        to = put_count(to, len);
        to = put_count(to, distance);
        for (uint32_t i = 1; i < len && at + i + 8 < SIZE; i++) insert(at + i);
        at += len;
        literals = at;
    }
    to = put_count(to, SIZE - literals);
    memcpy(to, input + literals, SIZE - literals);
    return (size_t)(to + (SIZE - literals) - packed);
}

static void decompress(const uint8_t *from) {
    uint32_t at = 0;
    for (;;) {
        uint32_t n = get_count(&from);
        memcpy(output + at, from, n);
        at += n, from += n;
        if (at == SIZE) return;
        uint32_t len = get_count(&from), distance = get_count(&from);
        for (uint32_t i = 0; i < len; i++, at++) output[at] = output[at - distance];
        if (at == SIZE) return;
    }
}

// Text of skewed words with sentences that come back.
static void generate(void) {
    rng_seed(1977);
    uint32_t at = 0;
    while (at < SIZE) {
        uint32_t r = rng();
        if (at > 4096 && (r & 63) == 0) {
            uint32_t len = 20 + (r >> 8 & 127), back = 100 + (r >> 15) % 4000;
            for (; len && at < SIZE; len--, at++) input[at] = input[at - back];
            continue;
        }
        uint32_t word = (r >> 4 & 3) ? r >> 8 & 63 : r >> 8 & 4095;
        do {
            if (at < SIZE) input[at++] = (uint8_t)('a' + word % 23);
            word /= 23;
        } while (word);
        if (at < SIZE) input[at++] = (r >> 24) % 11 ? ' ' : '\n';
    }
}

static uint32_t lz_round(void) {
    if (!input[0]) generate();
    size_t len = compress();
    memset(output, 0, sizeof output);
    decompress(packed);
    if (memcmp(input, output, SIZE)) fail("round trip");
    return fold(fold_bytes(0, packed, len), (uint32_t)len);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "lz", 30, 0x7ade0fc6u, lz_round); }
