// Gradient noise, four octaves a sample: what it does between loads and multiplications is rounding down.
#include "../bench.h"
#include <math.h>

static uint8_t order[512];

static double fade(double t) { return t * t * t * (t * (t * 6 - 15) + 10); }

static double mix(double a, double b, double t) { return a + (b - a) * t; }

static double slope(int hash, double x, double y) {
    double u = hash & 1 ? x : -x, v = hash & 2 ? y : -y;
    return hash & 4 ? u + 2 * v : 2 * u + v;
}

static double noise(double x, double y) {
    double left = floor(x), low = floor(y);
    int i = (int)left & 255, j = (int)low & 255;
    x -= left;
    y -= low;
    double u = fade(x), v = fade(y);
    int a = order[i] + j, b = order[i + 1] + j;
    return mix(mix(slope(order[a], x, y), slope(order[b], x - 1, y), u),
               mix(slope(order[a + 1], x, y - 1), slope(order[b + 1], x - 1, y - 1), u), v);
}

static uint32_t noise_round(void) {
    rng_seed(7);
    for (int i = 0; i < 256; i++) order[i] = (uint8_t)i;
    for (int i = 255; i > 0; i--) {
        int j = (int)(rng() % (uint32_t)(i + 1));
        uint8_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    memcpy(order + 256, order, 256);
    uint32_t sum = 0;
    double total = 0;
    for (int row = 0; row < 128; row++) {
        for (int column = 0; column < 128; column++) {
            double x = column * 0.07, y = row * 0.07, height = 0;
            for (int octave = 0; octave < 4; octave++) {
                height += noise(x, y) / (1 << octave);
                x *= 2;
                y *= 2;
            }
            total += ceil(height * 16);
        }
        sum = fold_f64(sum, total);
    }
    return sum;
}

int main(int argc, char **argv) { return bench_main(argc, argv, "noise", 400, 0x62a5e6beu, noise_round); }
