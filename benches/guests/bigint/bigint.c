// Public-key arithmetic: Montgomery exponentiation with 32-bit limbs and 64-bit products, checked
// by Fermat's little theorem on Mersenne primes, and a factorial turned to decimal by long division.
#include "../bench.h"

#define LIMBS 40

// r = a * b / 2^(32 n) mod m, all of n limbs; `inv` is -1/m[0] mod 2^32.
static void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b, const uint32_t *m, uint32_t inv, int n) {
    uint32_t t[LIMBS + 2] = {0};
    for (int i = 0; i < n; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < n; j++) {
            carry += (uint64_t)a[i] * b[j] + t[j];
            t[j] = (uint32_t)carry;
            carry >>= 32;
        }
        carry += t[n];
        t[n] = (uint32_t)carry;
        t[n + 1] = (uint32_t)(carry >> 32);
        uint32_t q = t[0] * inv;
        carry = ((uint64_t)q * m[0] + t[0]) >> 32;
        for (int j = 1; j < n; j++) {
            carry += (uint64_t)q * m[j] + t[j];
            t[j - 1] = (uint32_t)carry;
            carry >>= 32;
        }
        carry += t[n];
        t[n - 1] = (uint32_t)carry;
        t[n] = t[n + 1] + (uint32_t)(carry >> 32);
    }
    uint32_t less[LIMBS];
    int64_t borrow = 0;
    for (int j = 0; j < n; j++) {
        borrow += (int64_t)t[j] - m[j];
        less[j] = (uint32_t)borrow;
        borrow >>= 32;
    }
    memcpy(r, (int64_t)t[n] + borrow < 0 ? t : less, (size_t)n * 4);
}

// x = 2 x mod m
static void double_mod(uint32_t *x, const uint32_t *m, int n) {
    uint32_t top = x[n - 1] >> 31;
    for (int j = n - 1; j > 0; j--) x[j] = x[j] << 1 | x[j - 1] >> 31;
    x[0] <<= 1;
    int above = top != 0;
    for (int j = n - 1; !above && j >= 0; j--)
        if (x[j] != m[j]) {
            above = x[j] > m[j];
            break;
        }
    if (!above) return;
    int64_t borrow = 0;
    for (int j = 0; j < n; j++) {
        borrow += (int64_t)x[j] - m[j];
        x[j] = (uint32_t)borrow;
        borrow >>= 32;
    }
}

// base^(2^bits - 2) mod 2^bits - 1, which is 1 when that is a prime.
static uint32_t fermat(int bits, uint32_t base, uint32_t *sum) {
    int n = (bits + 31) / 32;
    uint32_t m[LIMBS], x[LIMBS] = {0}, acc[LIMBS], one[LIMBS] = {1};
    for (int j = 0; j < n; j++) m[j] = 0xffffffffu;
    if (bits % 32) m[n - 1] = (1u << bits % 32) - 1;
    uint32_t inv = 1; // Newton: m[0] * inv = -1
    for (int i = 0; i < 5; i++) inv *= 2 + m[0] * inv;
    x[0] = base;
    for (int i = 0; i < 32 * n; i++) double_mod(x, m, n); // into Montgomery form
    memcpy(acc, x, sizeof acc);
    for (int bit = bits - 2; bit >= 0; bit--) {
        mont_mul(acc, acc, acc, m, inv, n);
        if (bit != 0) mont_mul(acc, acc, x, m, inv, n); // every bit of the exponent but the lowest
    }
    mont_mul(acc, acc, one, m, inv, n);
    *sum = fold_bytes(*sum, acc, (size_t)n * 4);
    uint32_t rest = acc[0] ^ 1;
    for (int j = 1; j < n; j++) rest |= acc[j];
    return rest == 0;
}

static uint32_t factorial(uint32_t n) {
    static uint32_t limbs[1024];
    static char digits[6000];
    int len = 1;
    limbs[0] = 1;
    for (uint32_t k = 2; k <= n; k++) {
        uint64_t carry = 0;
        for (int j = 0; j < len; j++) {
            carry += (uint64_t)limbs[j] * k;
            limbs[j] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry) limbs[len++] = (uint32_t)carry;
    }
    int count = 0;
    while (len) {
        uint64_t rest = 0;
        for (int j = len - 1; j >= 0; j--) {
            rest = rest << 32 | limbs[j];
            limbs[j] = (uint32_t)(rest / 1000000000u);
            rest %= 1000000000u;
        }
        while (len && !limbs[len - 1]) len--;
        for (int k = 0; k < 9 && (len || rest); k++, rest /= 10) digits[count++] = (char)('0' + rest % 10);
    }
    return fold(fold_bytes(0, digits, (size_t)count), (uint32_t)count);
}

static uint32_t bigint_round(void) {
    uint32_t sum = 0;
    if (!fermat(521, 3, &sum) || !fermat(607, 5, &sum) || !fermat(1279, 7, &sum)) fail("a prime fails Fermat's test");
    if (fermat(1277, 3, &sum)) fail("a composite passes Fermat's test");
    return fold(sum, factorial(1200));
}

int main(int argc, char **argv) { return bench_main(argc, argv, "bigint", 40, 0x733d0accu, bigint_round); }
