// A register-machine interpreter: one switch in a loop, running a sieve, a Collatz search and a
// string hash written in its own bytecode.
#include "../bench.h"

enum {
    HALT, MOVI, MOV, ADD, SUB, MUL, ADDI, AND, OR, XOR, SHLI, SHRI, DIVU, REMU, LOADB, STOREB,
    LOADW, STOREW, JMP, JEQ, JNE, JLT, JGE, JZ, JNZ, CALL, RET, INC, DEC, NOT, MIN, MAX, NOP,
};

struct insn {
    uint8_t op, a, b, c;
    int32_t imm;
};

static uint8_t data[1 << 16];
static uint64_t executed;

static uint32_t run(const struct insn *code) {
    uint32_t r[16] = {0}, stack[64];
    int sp = 0;
    uint32_t pc = 0;
    uint64_t count = 0;
    for (;;) {
        const struct insn *i = code + pc++;
        count++;
        switch (i->op) {
        case HALT: executed += count; return r[0];
        case MOVI: r[i->a] = (uint32_t)i->imm; break;
        case MOV: r[i->a] = r[i->b]; break;
        case ADD: r[i->a] = r[i->b] + r[i->c]; break;
        case SUB: r[i->a] = r[i->b] - r[i->c]; break;
        case MUL: r[i->a] = r[i->b] * r[i->c]; break;
        case ADDI: r[i->a] = r[i->b] + (uint32_t)i->imm; break;
        case AND: r[i->a] = r[i->b] & r[i->c]; break;
        case OR: r[i->a] = r[i->b] | r[i->c]; break;
        case XOR: r[i->a] = r[i->b] ^ r[i->c]; break;
        case SHLI: r[i->a] = r[i->b] << (i->imm & 31); break;
        case SHRI: r[i->a] = r[i->b] >> (i->imm & 31); break;
        case DIVU: r[i->a] = r[i->c] ? r[i->b] / r[i->c] : 0; break;
        case REMU: r[i->a] = r[i->c] ? r[i->b] % r[i->c] : 0; break;
        case LOADB: r[i->a] = data[(r[i->b] + (uint32_t)i->imm) & 0xffff]; break;
        case STOREB: data[(r[i->b] + (uint32_t)i->imm) & 0xffff] = (uint8_t)r[i->a]; break;
        case LOADW: memcpy(&r[i->a], &data[(r[i->b] + (uint32_t)i->imm) & 0xfffc], 4); break;
        case STOREW: memcpy(&data[(r[i->b] + (uint32_t)i->imm) & 0xfffc], &r[i->a], 4); break;
        case JMP: pc = (uint32_t)i->imm; break;
        case JEQ: if (r[i->a] == r[i->b]) pc = (uint32_t)i->imm; break;
        case JNE: if (r[i->a] != r[i->b]) pc = (uint32_t)i->imm; break;
        case JLT: if (r[i->a] < r[i->b]) pc = (uint32_t)i->imm; break;
        case JGE: if (r[i->a] >= r[i->b]) pc = (uint32_t)i->imm; break;
        case JZ: if (!r[i->a]) pc = (uint32_t)i->imm; break;
        case JNZ: if (r[i->a]) pc = (uint32_t)i->imm; break;
        case CALL: stack[sp++ & 63] = pc; pc = (uint32_t)i->imm; break;
        case RET: pc = stack[--sp & 63]; break;
        case INC: r[i->a]++; break;
        case DEC: r[i->a]--; break;
        case NOT: r[i->a] = ~r[i->b]; break;
        case MIN: r[i->a] = r[i->b] < r[i->c] ? r[i->b] : r[i->c]; break;
        case MAX: r[i->a] = r[i->b] > r[i->c] ? r[i->b] : r[i->c]; break;
        default: break;
        }
    }
}

// r0 = number of primes below r1's start value.
static const struct insn sieve[] = {
    {MOVI, 1, 0, 0, 60000}, {MOVI, 2, 0, 0, 2},      {MOVI, 3, 0, 0, 1},
    /* 3: clear */          {STOREB, 0, 2, 0, 0},    {INC, 2, 0, 0, 0},       {JLT, 2, 1, 0, 3},
    {MOVI, 2, 0, 0, 2},
    /* 7: next */           {LOADB, 4, 2, 0, 0},     {JNZ, 4, 0, 0, 15},      {INC, 0, 0, 0, 0},
    {ADD, 5, 2, 2, 0},      {JGE, 5, 1, 0, 15},
    /* 12: mark */          {STOREB, 3, 5, 0, 0},    {ADD, 5, 5, 2, 0},       {JLT, 5, 1, 0, 12},
    /* 15 */                {INC, 2, 0, 0, 0},       {JLT, 2, 1, 0, 7},       {HALT, 0, 0, 0, 0},
};

// r0 = longest Collatz chain of starts below 3000, through a called step.
static const struct insn collatz[] = {
    {MOVI, 1, 0, 0, 1},     {MOVI, 2, 0, 0, 3000},   {MOVI, 7, 0, 0, 1},
    /* 3: start */          {MOV, 3, 1, 0, 0},       {MOVI, 4, 0, 0, 0},
    /* 5: step */           {JEQ, 3, 7, 0, 9},       {CALL, 0, 0, 0, 13},     {INC, 4, 0, 0, 0},
    {JMP, 0, 0, 0, 5},
    /* 9: done */           {MAX, 0, 0, 4, 0},       {INC, 1, 0, 0, 0},       {JLT, 1, 2, 0, 3},
    {HALT, 0, 0, 0, 0},
    /* 13: r3 = next(r3) */ {AND, 5, 3, 7, 0},       {JNZ, 5, 0, 0, 17},      {SHRI, 3, 3, 0, 1},
    {RET, 0, 0, 0, 0},
    /* 17 */                {SHLI, 6, 3, 0, 1},      {ADD, 3, 3, 6, 0},       {INC, 3, 0, 0, 0},
    {RET, 0, 0, 0, 0},
};

// r0 = a rolling hash of 30000 words that it first writes itself.
static const struct insn hash[] = {
    {MOVI, 1, 0, 0, 0},       {MOVI, 2, 0, 0, 60000}, {MOVI, 3, 0, 0, 16777619}, {MOVI, 4, 0, 0, 97},
    /* 4: write */            {MUL, 5, 1, 3, 0},      {XOR, 5, 5, 4, 0},         {STOREW, 5, 1, 0, 0},
    {ADDI, 4, 4, 0, 12345},   {ADDI, 1, 1, 0, 4},     {JLT, 1, 2, 0, 4},         {MOVI, 1, 0, 0, 0},
    /* 11: read */            {LOADW, 5, 1, 0, 0},    {SHRI, 6, 0, 0, 15},       {XOR, 0, 0, 5, 0},
    {MUL, 0, 0, 3, 0},        {OR, 7, 6, 5, 0},       {REMU, 7, 7, 4, 0},        {SUB, 0, 0, 7, 0},
    {NOT, 8, 7, 0, 0},        {MIN, 9, 8, 0, 0},      {ADD, 0, 0, 9, 0},         {ADDI, 1, 1, 0, 4},
    {JLT, 1, 2, 0, 11},       {HALT, 0, 0, 0, 0},
};

static uint32_t interp_round(void) {
    executed = 0;
    uint32_t sum = run(sieve);
    if (sum != 6057) fail("primes below 60000");
    sum = fold(sum, run(collatz));
    sum = fold(sum, run(hash));
    return fold64(sum, executed);
}

int main(int argc, char **argv) {
    return bench_main(argc, argv, "interp", 80, 0x3eae3c19u, interp_round);
}
