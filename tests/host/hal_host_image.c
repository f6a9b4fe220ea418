/* SPDX-License-Identifier: MIT */
/*
 * hal_host_image.c - image memory: frames of a memory file, mapped page by page below 2 GiB.
 *
 * A page table in miniature: every page of an image knows its own frame, and the frame that it shows when it shares
 * another's. The file is mapped a second time as a whole, so that frames can be copied and wiped whatever the pages' rights.
 */
#include "hal_host_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

enum { FRAMES = 16384, NOT_SHARED = UINT32_MAX };

struct page {
    uint32_t frame;  /* its own */
    uint32_t shared; /* the one that it shows instead, or NOT_SHARED */
    enum hx_prot prot;
    uint32_t shown_elsewhere; /* pages that share this one's frame */
    bool given;               /* its frame went to a successor: not to be touched any more */
};

struct image {
    LIST_ENTRY(image) link;
    uintptr_t va;
    size_t pages;
    struct page page[];
};

static LIST_HEAD(, image) images = LIST_HEAD_INITIALIZER(images);
static int file = -1;
static uint8_t *window; /* all frames, always readable and writable */
static uint32_t free_frame[FRAMES];
static uint32_t free_frames;
static uint64_t image_pages;

void hal_host_image_init(void)
{
    file = memfd_create("helix-frames", MFD_CLOEXEC);
    HAL_HOST_CHECK(file >= 0 && ftruncate(file, (off_t)FRAMES * HX_PAGE_BYTES) == 0, "no memory file");
    window = mmap(NULL, (size_t)FRAMES * HX_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    HAL_HOST_CHECK(window != MAP_FAILED, "the memory file cannot be mapped");
    for (uint32_t i = 0; i < FRAMES; i++)
        free_frame[i] = FRAMES - 1 - i;
    free_frames = FRAMES;
}

uint64_t hal_host_image_pages(void)
{
    return image_pages;
}

uint64_t hal_host_image_frames_total(void)
{
    return FRAMES;
}

static int host_prot(enum hx_prot prot)
{
    switch (prot) {
    case HX_PROT_NONE: return PROT_NONE;
    case HX_PROT_R: return PROT_READ;
    case HX_PROT_RW: return PROT_READ | PROT_WRITE;
    case HX_PROT_RX: return PROT_READ | PROT_EXEC;
    }
    hal_host_breach("enum hx_prot %d", (int)prot);
}

/* The page shows what it should, as it may. */
static void map(const struct image *image, size_t index)
{
    const struct page *page = &image->page[index];
    uint32_t frame = page->shared != NOT_SHARED ? page->shared : page->frame;
    int prot = page->given ? PROT_NONE : page->shared != NOT_SHARED ? PROT_READ : host_prot(page->prot);
    void *va = (void *)(image->va + index * HX_PAGE_BYTES);
    void *at = mmap(va, HX_PAGE_BYTES, prot, MAP_SHARED | MAP_FIXED, file, (off_t)frame * HX_PAGE_BYTES);
    HAL_HOST_CHECK(at == va, "the host cannot map a page of an image");
}

static struct image *image_of(uintptr_t va)
{
    struct image *image;
    LIST_FOREACH(image, &images, link)
        if (va >= image->va && va - image->va < image->pages * HX_PAGE_BYTES)
            return image;
    return NULL;
}

/* The image that holds [@va, @va + @bytes), whole pages. */
static struct image *image_range(const char *what, uintptr_t va, size_t bytes, size_t *out_first)
{
    struct image *image = image_of(va);
    HAL_HOST_CHECK(image, "%s: 0x%lx lies in no image", what, (unsigned long)va);
    HAL_HOST_CHECK(va % HX_PAGE_BYTES == 0 && bytes % HX_PAGE_BYTES == 0 && bytes > 0,
                   "%s: 0x%lx, %zu bytes: no whole pages", what, (unsigned long)va, bytes);
    *out_first = (va - image->va) / HX_PAGE_BYTES;
    HAL_HOST_CHECK(bytes / HX_PAGE_BYTES <= image->pages - *out_first, "%s: %zu bytes at 0x%lx: past the image's end",
                   what, bytes, (unsigned long)va);
    return image;
}

hx_status_t hx_hal_image_alloc(size_t bytes, uintptr_t *out_va)
{
    HAL_HOST_CHECK(bytes > 0 && bytes % HX_PAGE_BYTES == 0, "hx_hal_image_alloc(%zu)", bytes);
    size_t pages = bytes / HX_PAGE_BYTES;
    if (!hal_host_may_allocate() || pages > free_frames)
        return HX_E_NOMEM;
    uint8_t *low = mmap(NULL, bytes + 2 * HX_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    HAL_HOST_CHECK(low != MAP_FAILED, "the host has no address space left below 2 GiB");
    struct image *image = calloc(1, sizeof(*image) + pages * sizeof(image->page[0]));
    HAL_HOST_CHECK(image, "the host has no memory left");
    image->va = (uintptr_t)low + HX_PAGE_BYTES;
    image->pages = pages;
    for (size_t i = 0; i < pages; i++) {
        uint32_t frame = free_frame[--free_frames];
        memset(window + (size_t)frame * HX_PAGE_BYTES, 0, HX_PAGE_BYTES);
        image->page[i] = (struct page){ .frame = frame, .shared = NOT_SHARED, .prot = HX_PROT_RW };
        map(image, i);
    }
    LIST_INSERT_HEAD(&images, image, link);
    image_pages += pages;
    *out_va = image->va;
    return HX_OK;
}

void hx_hal_image_protect(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    size_t first;
    struct image *image = image_range("hx_hal_image_protect", va, bytes, &first);
    for (size_t i = first; i < first + bytes / HX_PAGE_BYTES; i++) {
        image->page[i].prot = prot;
        map(image, i);
    }
}

/* The page whose own frame is @frame. */
static struct page *owner_of(uint32_t frame)
{
    struct image *image;
    LIST_FOREACH(image, &images, link)
        for (size_t i = 0; i < image->pages; i++)
            if (image->page[i].frame == frame)
                return &image->page[i];
    hal_host_breach("frame %u belongs to no image", frame);
}

static void share_end(struct page *page)
{
    if (page->shared != NOT_SHARED)
        owner_of(page->shared)->shown_elsewhere--;
    page->shared = NOT_SHARED;
}

void hx_hal_image_free(uintptr_t va, size_t bytes)
{
    size_t first;
    struct image *image = image_range("hx_hal_image_free", va, bytes, &first);
    HAL_HOST_CHECK(first == 0 && bytes == image->pages * HX_PAGE_BYTES,
                   "hx_hal_image_free(0x%lx, %zu): the image is 0x%lx, %zu", (unsigned long)va, bytes,
                   (unsigned long)image->va, image->pages * HX_PAGE_BYTES);
    for (size_t i = 0; i < image->pages; i++) {
        HAL_HOST_CHECK(!image->page[i].shown_elsewhere, "hx_hal_image_free: page %zu is shared by another image", i);
        share_end(&image->page[i]);
        free_frame[free_frames++] = image->page[i].frame;
    }
    image_pages -= image->pages;
    LIST_REMOVE(image, link);
    munmap((void *)(va - HX_PAGE_BYTES), bytes + 2 * HX_PAGE_BYTES);
    free(image);
}

/* ---- pieces --------------------------------------------------------------------------------------------------------- */
/*
 * Each in pages of its own, small ones at a unit inside so that nobody relies on the start of a page. Between a piece and
 * the ends of its pages stands FILL, which must stay.
 */
enum { UNIT_BYTES = 64, UNITS = HX_PAGE_BYTES / UNIT_BYTES, FILL = 0xcc };

struct piece {
    LIST_ENTRY(piece) link;
    uintptr_t va;
    size_t bytes;
    enum hx_prot prot;
    uintptr_t image_va;
    size_t image_bytes;
    uint8_t *alias;             /* of the whole pages; NULL: sealed, or written where it is */
    const struct hx_task *task; /* that has it to write */
};

static LIST_HEAD(, piece) pieces = LIST_HEAD_INITIALIZER(pieces);

/* Where in its pages a piece begins: another place each time, never the start of a small one's. */
static size_t piece_offset(size_t bytes, size_t align)
{
    static uint32_t turn;
    size_t units = (bytes + UNIT_BYTES - 1) / UNIT_BYTES;
    if (align > UNIT_BYTES || units >= UNITS)
        return 0;
    return (1 + turn++ * 7 % (UNITS - units)) * UNIT_BYTES;
}

/* All pages of an image once more, writable. */
static uint8_t *alias_map(const struct image *image)
{
    uint8_t *alias = mmap(NULL, image->pages * HX_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HAL_HOST_CHECK(alias != MAP_FAILED, "the host has no address space left");
    for (size_t i = 0; i < image->pages; i++) {
        uint8_t *at = alias + i * HX_PAGE_BYTES;
        void *got = mmap(at, HX_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                         (off_t)image->page[i].frame * HX_PAGE_BYTES);
        HAL_HOST_CHECK(got == at, "the host cannot map an alias");
    }
    return alias;
}

static void one_task_check(void)
{
    struct piece *piece;
    LIST_FOREACH(piece, &pieces, link)
        HAL_HOST_CHECK(!piece->alias || piece->task == hx_cpu_read(current),
                       "hx_hal_piece_alloc: another task has not sealed its piece at 0x%lx", (unsigned long)piece->va);
}

hx_status_t hx_hal_piece_alloc(size_t bytes, size_t align, enum hx_prot prot, uintptr_t *out_va, uint8_t **out_memory)
{
    HAL_HOST_CHECK(bytes > 0 && align > 0 && (align & (align - 1)) == 0 && align <= HX_PAGE_BYTES &&
                       prot != HX_PROT_NONE,
                   "hx_hal_piece_alloc(%zu, %zu, %d)", bytes, align, (int)prot);
    size_t offset = piece_offset(bytes, align), image_bytes = hx_page_round_up(bytes);
    uintptr_t image_va;
    hx_status_t err = hx_hal_image_alloc(image_bytes, &image_va);
    if (err != HX_OK)
        return err;
    struct piece *piece = malloc(sizeof(*piece));
    HAL_HOST_CHECK(piece, "the host has no memory left");
    *piece = (struct piece){ .va = image_va + offset,
                             .bytes = bytes,
                             .prot = prot,
                             .task = hx_cpu_read(current),
                             .image_va = image_va,
                             .image_bytes = image_bytes };
    one_task_check();
    LIST_INSERT_HEAD(&pieces, piece, link);
    memset((void *)image_va, FILL, image_bytes);
    if (prot != HX_PROT_RW) {
        piece->alias = alias_map(image_of(image_va));
        hx_hal_image_protect(image_va, image_bytes, prot);
    }
    *out_va = piece->va;
    *out_memory = prot == HX_PROT_RW ? (uint8_t *)piece->va : piece->alias + offset;
    return HX_OK;
}

static struct piece *piece_of(const char *what, uintptr_t va, size_t bytes, enum hx_prot prot)
{
    struct piece *piece;
    LIST_FOREACH(piece, &pieces, link)
        if (piece->va == va)
            break;
    HAL_HOST_CHECK(piece, "%s: no piece begins at 0x%lx", what, (unsigned long)va);
    HAL_HOST_CHECK(piece->bytes == bytes && piece->prot == prot, "%s(0x%lx, %zu, %d): the piece is %zu, %d", what,
                   (unsigned long)va, bytes, (int)prot, piece->bytes, (int)piece->prot);
    return piece;
}

/* Nobody wrote beside the piece: on the machine that is another's. */
static void neighbours_check(const struct piece *piece)
{
    for (size_t i = 0; i < piece->image_bytes; i++) {
        uintptr_t va = piece->image_va + i;
        HAL_HOST_CHECK((va >= piece->va && va < piece->va + piece->bytes) || *(const uint8_t *)va == FILL,
                       "piece 0x%lx, %zu bytes: written at 0x%lx", (unsigned long)piece->va, piece->bytes,
                       (unsigned long)va);
    }
}

static void alias_unmap(struct piece *piece)
{
    if (piece->alias)
        munmap(piece->alias, piece->image_bytes);
    piece->alias = NULL;
}

void hx_hal_piece_seal(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    struct piece *piece = piece_of("hx_hal_piece_seal", va, bytes, prot);
    HAL_HOST_CHECK(piece->alias || prot == HX_PROT_RW, "hx_hal_piece_seal: the piece at 0x%lx is sealed already",
                   (unsigned long)va);
    neighbours_check(piece);
    alias_unmap(piece);
}

void hx_hal_piece_free(uintptr_t va, size_t bytes, enum hx_prot prot)
{
    struct piece *piece = piece_of("hx_hal_piece_free", va, bytes, prot);
    neighbours_check(piece);
    alias_unmap(piece);
    LIST_REMOVE(piece, link);
    hx_hal_image_free(piece->image_va, piece->image_bytes);
    free(piece);
}

uint32_t hal_host_image_open_pieces(void)
{
    struct piece *piece;
    uint32_t open = 0;
    LIST_FOREACH(piece, &pieces, link)
        open += piece->alias != NULL;
    return open;
}

void hx_hal_image_window(uintptr_t *out_low, uintptr_t *out_high)
{
    *out_low = 0;
    *out_high = (uintptr_t)1 << 31;
}

/* ---- state regions -------------------------------------------------------------------------------------------------- */
void hx_hal_region_share(uintptr_t new_va, uintptr_t old_va, size_t bytes)
{
    size_t new_first, old_first;
    struct image *to = image_range("hx_hal_region_share: new", new_va, bytes, &new_first);
    struct image *from = image_range("hx_hal_region_share: old", old_va, bytes, &old_first);
    for (size_t i = 0; i < bytes / HX_PAGE_BYTES; i++) {
        struct page *new = &to->page[new_first + i], *old = &from->page[old_first + i];
        HAL_HOST_CHECK(new->prot == HX_PROT_RW && old->prot == HX_PROT_RW,
                       "hx_hal_region_share: page %zu is not writable", i);
        HAL_HOST_CHECK(new->shared == NOT_SHARED && old->shared == NOT_SHARED && !old->given,
                       "hx_hal_region_share: page %zu is shared already", i);
        new->shared = old->frame;
        old->shown_elsewhere++;
        map(to, new_first + i);
    }
}

void hx_hal_region_commit(uintptr_t new_va, uintptr_t old_va, size_t bytes)
{
    size_t new_first, old_first;
    struct image *to = image_range("hx_hal_region_commit: new", new_va, bytes, &new_first);
    struct image *from = image_range("hx_hal_region_commit: old", old_va, bytes, &old_first);
    for (size_t i = 0; i < bytes / HX_PAGE_BYTES; i++) {
        struct page *new = &to->page[new_first + i], *old = &from->page[old_first + i];
        if (new->shared != NOT_SHARED) {
            HAL_HOST_CHECK(new->shared == old->frame, "hx_hal_region_commit: page %zu shares another image", i);
            share_end(new);
            uint32_t frame = old->frame;
            old->frame = new->frame;
            new->frame = frame;
        }
        old->given = true;
        map(to, new_first + i);
        map(from, old_first + i);
    }
}

void hx_hal_region_unshare(uintptr_t new_va, size_t bytes)
{
    size_t first;
    struct image *image = image_range("hx_hal_region_unshare", new_va, bytes, &first);
    for (size_t i = first; i < first + bytes / HX_PAGE_BYTES; i++) {
        share_end(&image->page[i]);
        map(image, i);
    }
}

bool hal_host_image_copy_on_write(uintptr_t address)
{
    struct image *image = image_of(address);
    if (!image)
        return false;
    size_t index = (address - image->va) / HX_PAGE_BYTES;
    struct page *page = &image->page[index];
    if (page->shared == NOT_SHARED)
        return false;
    memcpy(window + (size_t)page->frame * HX_PAGE_BYTES, window + (size_t)page->shared * HX_PAGE_BYTES, HX_PAGE_BYTES);
    share_end(page);
    map(image, index);
    return true;
}
