/* SPDX-License-Identifier: MIT */
/* switches: jump tables, absolute and relative ones. */
/* expected: each entry leads to its label. */
extern void a(void), b(void), c(void), d(void), e(void), f(void), g(void);

void choose(int which);
void choose(int which)
{
    switch (which) {
    case 0: a(); break;
    case 1: b(); break;
    case 2: c(); break;
    case 3: d(); break;
    case 4: e(); break;
    case 5: f(); break;
    case 6: g(); break;
    case 7: a(), g(); break;
    case 9: b(), f(); break;
    default: choose(which - 10);
    }
}

int computed(unsigned char *code);
int computed(unsigned char *code)
{
    static const void *const labels[] = { &&add, &&subtract, &&done };
    int sum = 0;

    goto *labels[*code++];
add:
    sum += *code++;
    goto *labels[*code++];
subtract:
    sum -= *code++;
    goto *labels[*code++];
done:
    return sum;
}

const char *text_of(int which);
const char *text_of(int which)
{
    switch (which) {
    case 0: return "none";
    case 1: return "one";
    case 2: return "two";
    case 3: return "three";
    case 4: return "four";
    case 5: return "five";
    default: return 0;
    }
}
