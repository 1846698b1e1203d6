// What C++ programs do with exceptions. Each part prints what happened, in order.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

struct Loud {
    const char *name;
    explicit Loud(const char *n) : name(n) { std::printf("  +%s\n", name); }
    ~Loud() { std::printf("  -%s\n", name); }
};

struct Base {
    virtual ~Base() = default;
    virtual const char *what() const { return "base"; }
};
struct Left : virtual Base {
    const char *what() const override { return "left"; }
};
struct Right : virtual Base {
    const char *what() const override { return "right"; }
};
struct Both : Left, Right {
    const char *what() const override { return "both"; }
};

[[gnu::noinline]] static void raise(int kind) {
    Loud here("raise");
    switch (kind) {
    case 0: return;
    case 1: throw std::runtime_error("runtime");
    case 2: throw std::out_of_range("range");
    case 3: throw 42;
    case 4: throw "text";
    case 5: throw Both();
    case 6: throw std::string("a string that is too long for the small buffer");
    case 7: throw static_cast<Base *>(new Left);
    case 8: throw 2.5;
    default: throw std::bad_alloc();
    }
}

[[gnu::noinline]] static void sort_out(int kind) {
    try {
        Loud outer("outer");
        raise(kind);
        std::printf("  nothing\n");
    } catch (const std::logic_error &e) {
        std::printf("  logic_error %s\n", e.what());
    } catch (const std::exception &e) {
        std::printf("  exception %s\n", e.what()[0] == 'r' ? e.what() : "another");
    } catch (int n) {
        std::printf("  int %d\n", n);
    } catch (const char *text) {
        std::printf("  text %s\n", text);
    } catch (const Right &r) {
        std::printf("  right %s\n", r.what());
    } catch (Base *b) {
        std::printf("  pointer %s\n", b->what());
        delete b;
    } catch (std::string s) {
        std::printf("  string %s, %zu\n", s.c_str(), s.size());
    } catch (...) {
        std::printf("  something\n");
    }
}

// Destructors on the way, in every frame; values that live in registers across the call.
[[gnu::noinline]] static long descend(int depth, long a, double b, std::vector<long> &log) {
    struct Note {
        std::vector<long> &log;
        long value;
        ~Note() { log.push_back(value); }
    } note{log, a};
    if (depth == 0)
        throw std::runtime_error(std::to_string(a) + "/" + std::to_string(static_cast<long>(b)));
    long x = descend(depth - 1, a * 3 + depth, b + a, log);
    return x + a + static_cast<long>(b);
}

static void nested() {
    try {
        try {
            try {
                raise(1);
            } catch (const std::runtime_error &) {
                Loud handler("handler");
                throw std::out_of_range("from the handler");
            }
        } catch (const std::out_of_range &e) {
            std::printf("  again: %s\n", e.what());
            throw;
        }
    } catch (const std::logic_error &e) {
        std::printf("  outside: %s\n", e.what());
    }
}

struct Member {
    Loud first{"first"};
    Loud second;
    explicit Member(bool fail) try : second(fail ? throw 7 : "second") {
        std::printf("  made\n");
    } catch (int n) {
        std::printf("  not made: %d\n", n);
        throw n + 1;
    }
};

static void pointers() {
    std::exception_ptr kept;
    try {
        raise(2);
    } catch (...) {
        kept = std::current_exception();
    }
    for (int i = 0; i < 2; i++) {
        try {
            std::rethrow_exception(kept);
        } catch (const std::out_of_range &e) {
            std::printf("  kept %s, %d\n", e.what(), std::uncaught_exceptions());
        }
    }
    try {
        try {
            throw std::runtime_error("inner");
        } catch (...) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (const std::logic_error &e) {
        try {
            std::rethrow_if_nested(e);
        } catch (const std::runtime_error &n) {
            std::printf("  %s holds %s\n", e.what(), n.what());
        }
    }
}

[[gnu::noinline]] static int pick(int n) {
    if (n % 3 == 0) throw n;
    if (n % 3 == 1) throw static_cast<long>(n);
    return n;
}

static void many() {
    long sum = 0;
    for (int i = 0; i < 30000; i++) {
        try {
            sum += pick(i);
        } catch (int n) {
            sum += 2 * n;
        } catch (long n) {
            sum += 3 * n;
        }
    }
    std::printf("  %ld\n", sum);
}

int main(int argc, char **) {
    for (int kind = 0; kind < 10; kind++) {
        std::printf("kind %d\n", kind);
        sort_out(kind);
    }
    std::printf("depth\n");
    for (int depth : {0, 1, 5, 10}) {
        std::vector<long> log;
        long result = 0;
        long keep = depth * 7 + 1;
        double also = keep * 0.5;
        try {
            result = descend(depth, keep, also, log);
        } catch (const std::runtime_error &e) {
            std::printf("  %s:", e.what());
        }
        for (long value : log) std::printf(" %ld", value);
        std::printf(" (%ld %ld %.1f)\n", result, keep, also);
    }
    std::printf("nested\n");
    nested();
    std::printf("members\n");
    { Member good(false); }
    try {
        Member bad(true);
    } catch (int n) {
        std::printf("  %d\n", n);
    }
    std::printf("pointers\n");
    pointers();
    std::printf("many\n");
    many();
    if (argc > 1) {
        // Nobody catches it: std::terminate.
        std::set_terminate([] {
            std::printf("terminate\n");
            std::fflush(stdout);
            std::_Exit(3);
        });
        struct Quiet {
            static void never() noexcept { raise(3); }
        };
        Quiet::never();
    }
    return 0;
}
