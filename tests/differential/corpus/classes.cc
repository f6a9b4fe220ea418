// SPDX-License-Identifier: MIT
// classes: vtables, type information, virtual bases, pure virtual functions, pointers to members, constructed objects.
// expected: tables of pointers in .data.rel.ro or .rodata, in groups; constructors in .init_array.
struct shape {
    virtual ~shape();
    virtual int area() const = 0;
    virtual const char *name() const { return "shape"; }
    static int made;
};
struct square : shape {
    explicit square(int s) : side(s) { made++; }
    int area() const override { return side * side; }
    int side;
};
struct named : virtual shape {
    const char *name() const override { return "named"; }
};
struct both : square, named {
    both() : square(3) {}
    int area() const override { return square::area() + 1; }
    const char *name() const override;
};

int shape::made;
shape::~shape() {}
const char *both::name() const { return "both"; }
static both object;
static square *pointer = new square(7);
int (square::*member)() const = &square::area;
int square::*field = &square::side;

int measure(shape *s)
{
    if (auto *b = dynamic_cast<both *>(s))
        return (b->*member)() + b->*field;
    return s->area() + s->name()[0] + object.area() + pointer->area();
}
