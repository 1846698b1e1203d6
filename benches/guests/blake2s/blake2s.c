// BLAKE2s (RFC 7693) as a small tree hash, in portable C: sixteen live words, wide parallelism
// within a round. The kind of code that BLAKE3's portable path is.
#include "../bench.h"

static const uint32_t IV[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint8_t SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint32_t ror(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

#define G(a, b, c, d, x, y)              \
    do {                                 \
        a += b + (x), d = ror(d ^ a, 16); \
        c += d, b = ror(b ^ c, 12);       \
        a += b + (y), d = ror(d ^ a, 8);  \
        c += d, b = ror(b ^ c, 7);        \
    } while (0)

#define ROUND(r)                                                  \
    do {                                                          \
        G(v0, v4, v8, v12, m[SIGMA[r][0]], m[SIGMA[r][1]]);       \
        G(v1, v5, v9, v13, m[SIGMA[r][2]], m[SIGMA[r][3]]);       \
        G(v2, v6, v10, v14, m[SIGMA[r][4]], m[SIGMA[r][5]]);      \
        G(v3, v7, v11, v15, m[SIGMA[r][6]], m[SIGMA[r][7]]);      \
        G(v0, v5, v10, v15, m[SIGMA[r][8]], m[SIGMA[r][9]]);      \
        G(v1, v6, v11, v12, m[SIGMA[r][10]], m[SIGMA[r][11]]);    \
        G(v2, v7, v8, v13, m[SIGMA[r][12]], m[SIGMA[r][13]]);     \
        G(v3, v4, v9, v14, m[SIGMA[r][14]], m[SIGMA[r][15]]);     \
    } while (0)

static void compress(uint32_t h[8], const uint8_t *block, uint64_t count, uint32_t last) {
    uint32_t m[16];
    memcpy(m, block, 64);
    uint32_t v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3], v4 = h[4], v5 = h[5], v6 = h[6], v7 = h[7];
    uint32_t v8 = IV[0], v9 = IV[1], v10 = IV[2], v11 = IV[3];
    uint32_t v12 = IV[4] ^ (uint32_t)count, v13 = IV[5] ^ (uint32_t)(count >> 32);
    uint32_t v14 = IV[6] ^ last, v15 = IV[7];
    ROUND(0); ROUND(1); ROUND(2); ROUND(3); ROUND(4);
    ROUND(5); ROUND(6); ROUND(7); ROUND(8); ROUND(9);
    h[0] ^= v0 ^ v8, h[1] ^= v1 ^ v9, h[2] ^= v2 ^ v10, h[3] ^= v3 ^ v11;
    h[4] ^= v4 ^ v12, h[5] ^= v5 ^ v13, h[6] ^= v6 ^ v14, h[7] ^= v7 ^ v15;
}

static void blake2s(const uint8_t *data, size_t len, uint32_t h[8]) {
    memcpy(h, IV, sizeof IV);
    h[0] ^= 0x01010020u;
    size_t at = 0;
    for (; len - at > 64; at += 64) compress(h, data + at, at + 64, 0);
    uint8_t tail[64] = {0};
    memcpy(tail, data + at, len - at);
    compress(h, tail, len, 0xffffffffu);
}

#define LEAVES 512
#define LEAF 4096

static uint8_t input[LEAVES * LEAF];
static uint32_t nodes[LEAVES * 8];

static uint32_t blake2s_round(void) {
    uint32_t h[8];
    blake2s((const uint8_t *)"abc", 3, h);
    if (h[0] != 0x8c5e8c50u || h[7] != 0x82596786u) fail("BLAKE2s of \"abc\"");
    rng_seed(32);
    for (size_t i = 0; i < sizeof input; i += 4) {
        uint32_t word = rng();
        memcpy(input + i, &word, 4);
    }
    for (int i = 0; i < LEAVES; i++) blake2s(input + i * LEAF, LEAF, nodes + i * 8);
    for (int width = LEAVES; width > 1; width /= 2)
        for (int i = 0; i < width / 2; i++) {
            blake2s((const uint8_t *)(nodes + i * 16), 64, h);
            memcpy(nodes + i * 8, h, 32);
        }
    uint32_t sum = 0;
    for (int i = 0; i < 8; i++) sum = fold(sum, nodes[i]);
    return sum;
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "blake2s", 120, 0xd37c6321u, blake2s_round);
}
