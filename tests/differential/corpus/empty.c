/* SPDX-License-Identifier: MIT */
/* empty: arrays and structures without members, alone in their sections. */
/* expected: what takes no memory has an address all the same. */
const int none[0] = {};
static struct {
} nothing;
struct {
} nothing_either;
void *pointers[] = { (void *)none, &nothing, &nothing_either };

const void *address(int i);
const void *address(int i)
{
    return i == 0 ? (const void *)none : i == 1 ? (const void *)&nothing : &nothing_either;
}
