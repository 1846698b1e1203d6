// Function pointers: a table of handlers indexed by event, records that carry their own table of
// operations, and a chain of filters called through pointers with different signatures.
#include "../bench.h"

struct machine {
    uint32_t acc, aux, events;
    int64_t wide;
};

typedef void (*handler)(struct machine *, uint32_t);

static void on_add(struct machine *m, uint32_t v) { m->acc += v; }
static void on_sub(struct machine *m, uint32_t v) { m->acc -= v; }
static void on_mix(struct machine *m, uint32_t v) { m->acc = (m->acc << 5 | m->acc >> 27) ^ v; }
static void on_aux(struct machine *m, uint32_t v) { m->aux = m->acc ^ v; }
static void on_swap(struct machine *m, uint32_t v) {
    uint32_t t = m->acc;
    m->acc = m->aux + v;
    m->aux = t;
}
static void on_wide(struct machine *m, uint32_t v) { m->wide += (int64_t)v * (int32_t)m->acc; }
static void on_fold(struct machine *m, uint32_t v) { m->acc ^= (uint32_t)m->wide + v; }
static void on_count(struct machine *m, uint32_t v) { m->events += v & 1; }

static const handler handlers[8] = {on_add, on_sub, on_mix, on_aux, on_swap, on_wide, on_fold, on_count};

struct ops {
    uint32_t (*step)(uint32_t);
    double (*weigh)(double, uint32_t);
    int (*keep)(const void *, uint32_t);
};

static uint32_t step_odd(uint32_t x) { return x * 3 + 1; }
static uint32_t step_even(uint32_t x) { return x >> 1; }
static uint32_t step_none(uint32_t x) { return x + 1; }
static double weigh_add(double w, uint32_t x) { return w + (x & 15); }
static double weigh_half(double w, uint32_t x) { return w * 0.5 + (x & 3); }
static int keep_low(const void *r, uint32_t x) { return (x & 7) < 5 || !r; }
static int keep_high(const void *r, uint32_t x) { return (x >> 28) > 3 || !r; }

static const struct ops kinds[4] = {
    {step_odd, weigh_add, keep_low},
    {step_even, weigh_half, keep_high},
    {step_none, weigh_add, keep_high},
    {step_odd, weigh_half, keep_low},
};

struct record {
    const struct ops *ops;
    uint32_t value;
    double weight;
};

static uint32_t dispatch_round(void) {
    static uint8_t events[4096];
    static struct record records[1024];
    rng_seed(4242);
    for (size_t i = 0; i < sizeof events; i++) events[i] = (uint8_t)(rng() >> 7);
    for (int i = 0; i < 1024; i++) {
        const struct ops *ops = &kinds[rng() >> 9 & 3];
        records[i] = (struct record){ops, rng(), 1};
    }

    struct machine machine = {1, 2, 0, 3};
    for (int pass = 0; pass < 40; pass++)
        for (uint32_t i = 0; i < sizeof events; i++) handlers[events[i] & 7](&machine, i + events[i]);

    uint32_t kept = 0;
    for (int pass = 0; pass < 60; pass++)
        for (int i = 0; i < 1024; i++) {
            struct record *r = &records[i];
            r->value = r->ops->step(r->value);
            r->weight = r->ops->weigh(r->weight, r->value);
            if (r->ops->keep(r, r->value)) kept++;
            else r->ops = &kinds[(r->value >> 3) & 3];
        }
    uint32_t sum = fold(fold(machine.acc, machine.aux), machine.events);
    sum = fold(fold64(sum, (uint64_t)machine.wide), kept);
    for (int i = 0; i < 1024; i++) sum = fold_f64(fold(sum, records[i].value), records[i].weight);
    return sum;
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "dispatch", 200, 0xd9c92c55u, dispatch_round);
}
