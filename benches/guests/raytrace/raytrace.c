// A ray tracer for spheres over a chequered floor, in single precision: square roots, floor,
// conversions, small structs by value, recursion for mirrors.
#include "../bench.h"

struct vec {
    float x, y, z;
};

static struct vec add(struct vec a, struct vec b) { return (struct vec){a.x + b.x, a.y + b.y, a.z + b.z}; }
static struct vec sub(struct vec a, struct vec b) { return (struct vec){a.x - b.x, a.y - b.y, a.z - b.z}; }
static struct vec mul(struct vec a, float s) { return (struct vec){a.x * s, a.y * s, a.z * s}; }
static float dot(struct vec a, struct vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static struct vec unit(struct vec a) { return mul(a, 1.0f / __builtin_sqrtf(dot(a, a))); }

struct sphere {
    struct vec centre, colour;
    float radius, mirror;
};

#define SPHERES 12
static struct sphere spheres[SPHERES];

static int nearest(struct vec from, struct vec dir, float *distance) {
    int hit = -1;
    for (int i = 0; i < SPHERES; i++) {
        struct vec to = sub(spheres[i].centre, from);
        float along = dot(to, dir);
        float h2 = spheres[i].radius * spheres[i].radius - (dot(to, to) - along * along);
        if (h2 < 0) continue;
        float t = along - __builtin_sqrtf(h2);
        if (t > 0.001f && t < *distance) {
            *distance = t;
            hit = i;
        }
    }
    return hit;
}

static struct vec trace(struct vec from, struct vec dir, int depth) {
    static const struct vec light = {0.5773503f, 0.5773503f, -0.5773503f};
    float distance = 1e9f;
    int hit = nearest(from, dir, &distance);
    struct vec at, normal, colour;
    float mirror;
    if (hit >= 0) {
        at = add(from, mul(dir, distance));
        normal = unit(sub(at, spheres[hit].centre));
        colour = spheres[hit].colour;
        mirror = spheres[hit].mirror;
    } else if (dir.y < -0.0001f) {
        at = add(from, mul(dir, -from.y / dir.y));
        normal = (struct vec){0, 1, 0};
        int dark = ((int)__builtin_floorf(at.x) + (int)__builtin_floorf(at.z)) & 1;
        colour = dark ? (struct vec){0.2f, 0.2f, 0.2f} : (struct vec){0.9f, 0.9f, 0.9f};
        mirror = 0.1f;
    } else {
        return (struct vec){0.4f, 0.6f, 0.5f + 0.5f * dir.y};
    }
    float shade = dot(normal, light), blocked = 1e9f;
    if (shade < 0 || nearest(at, light, &blocked) >= 0) shade = 0;
    colour = mul(colour, 0.2f + 0.8f * shade);
    if (mirror > 0 && depth > 0) {
        struct vec away = sub(dir, mul(normal, 2 * dot(dir, normal)));
        colour = add(mul(colour, 1 - mirror), mul(trace(at, unit(away), depth - 1), mirror));
    }
    return colour;
}

static uint8_t byte_of(float c) { return (uint8_t)(c > 1 ? 255 : c < 0 ? 0 : c * 255.0f + 0.5f); }

static uint32_t raytrace_round(void) {
    rng_seed(1980);
    for (int i = 0; i < SPHERES; i++) {
        float r[7]; // drawn one by one: the order of initialisers is the compiler's affair
        for (int k = 0; k < 7; k++) r[k] = (float)(rng() >> 8) / 16777216.0f;
        spheres[i] = (struct sphere){{r[0] * 8 - 4, r[1] * 2 + 0.5f, r[2] * 6 + 2},
                                     {r[3], r[4], r[5]},
                                     r[6] * 0.8f + 0.3f,
                                     i & 1 ? 0.5f : 0.0f};
    }
    uint32_t sum = 0;
    for (int y = 0; y < 200; y++)
        for (int x = 0; x < 320; x++) {
            struct vec dir = unit((struct vec){(float)(x - 160) / 160, (float)(100 - y) / 160, 1});
            struct vec c = trace((struct vec){0, 1, -4}, dir, 4);
            sum = fold(sum, (uint32_t)byte_of(c.x) << 16 | (uint32_t)byte_of(c.y) << 8 | byte_of(c.z));
        }
    return sum;
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "raytrace", 80, 0x849dea15u, raytrace_round);
}
