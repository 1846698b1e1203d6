// Virtual calls in C++: an expression tree evaluated, differentiated and measured through its
// vtable, and a list of shapes of mixed classes.
#include "../bench.h"

struct Expr {
    virtual ~Expr() {}
    virtual int64_t eval(const int64_t *vars) const = 0;
    virtual uint32_t size() const { return 1; }
    virtual bool constant() const { return false; }
};

struct Const final : Expr {
    int64_t value;
    explicit Const(int64_t v) : value(v) {}
    int64_t eval(const int64_t *) const override { return value; }
    bool constant() const override { return true; }
};

struct Var final : Expr {
    unsigned index;
    explicit Var(unsigned i) : index(i) {}
    int64_t eval(const int64_t *vars) const override { return vars[index]; }
};

struct Binary : Expr {
    Expr *left, *right;
    Binary(Expr *l, Expr *r) : left(l), right(r) {}
    ~Binary() override {
        delete left;
        delete right;
    }
    uint32_t size() const override { return 1 + left->size() + right->size(); }
    bool constant() const override { return left->constant() && right->constant(); }
};

struct Add final : Binary {
    using Binary::Binary;
    int64_t eval(const int64_t *v) const override { return (int64_t)((uint64_t)left->eval(v) + (uint64_t)right->eval(v)); }
};
struct Mul final : Binary {
    using Binary::Binary;
    int64_t eval(const int64_t *v) const override { return (int64_t)((uint64_t)left->eval(v) * (uint64_t)right->eval(v)); }
};
struct Xor final : Binary {
    using Binary::Binary;
    int64_t eval(const int64_t *v) const override { return left->eval(v) ^ right->eval(v); }
};
struct If final : Binary {
    Expr *test;
    If(Expr *t, Expr *l, Expr *r) : Binary(l, r), test(t) {}
    ~If() override { delete test; }
    int64_t eval(const int64_t *v) const override { return test->eval(v) & 1 ? left->eval(v) : right->eval(v); }
    uint32_t size() const override { return test->size() + Binary::size(); }
};

static Expr *grow(int depth) {
    if (depth == 0) return rng() & 1 ? (Expr *)new Var(rng() % 4) : new Const((int64_t)(rng() % 100));
    // One by one: the order of arguments is the compiler's affair.
    uint32_t kind = (rng() >> 5) % 5;
    Expr *left = grow(depth - 1);
    Expr *right = grow(depth - 1);
    switch (kind) {
    case 0: case 1: return new Add(left, right);
    case 2: return new Mul(left, right);
    case 3: return new Xor(left, right);
    default: return new If(grow(depth / 2), left, right);
    }
}

struct Shape {
    virtual ~Shape() {}
    virtual double area() const = 0;
    virtual void scale(double by) = 0;
};
struct Square final : Shape {
    double side;
    explicit Square(double s) : side(s) {}
    double area() const override { return side * side; }
    void scale(double by) override { side *= by; }
};
struct Circle final : Shape {
    double radius;
    explicit Circle(double r) : radius(r) {}
    double area() const override { return radius * radius * 3.25; }
    void scale(double by) override { radius *= by; }
};
struct Triangle final : Shape {
    double base, height;
    Triangle(double b, double h) : base(b), height(h) {}
    double area() const override { return base * height * 0.5; }
    void scale(double by) override { base *= by, height *= by; }
};

static uint32_t shapes_round(void) {
    rng_seed(1998);
    uint32_t sum = 0;
    Expr *tree = grow(10);
    int64_t vars[4] = {3, 5, 7, 11};
    for (int i = 0; i < 300; i++) {
        int64_t value = tree->eval(vars);
        vars[i & 3] = value ^ i;
        sum = fold64(sum, (uint64_t)value);
    }
    sum = fold(fold(sum, tree->size()), tree->constant());
    delete tree;

    Shape *shapes[512];
    for (auto &shape : shapes) {
        double size = 1 + rng() % 16;
        switch (rng() % 3) {
        case 0: shape = new Square(size); break;
        case 1: shape = new Circle(size); break;
        default: shape = new Triangle(size, size + 1);
        }
    }
    double total = 0;
    for (int pass = 0; pass < 400; pass++)
        for (auto *shape : shapes) {
            total += shape->area();
            shape->scale(pass & 1 ? 0.5 : 2.0);
        }
    for (auto *shape : shapes) delete shape;
    return fold_f64(sum, total);
}

int main(int argc, char **argv) { return bench_main(argc, argv, "shapes", 160, 0xe6414cceu, shapes_round); }
