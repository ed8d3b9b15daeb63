// The web interface, embedded: one binary serves it, with no folder to install beside it.

#include "CWebAssets.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "Assets/index.html"
};

#define HTML "text/html; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SVG "image/svg+xml"
#define ASSET(url, type, bytes) {url, type, bytes, sizeof(bytes), ""}

static struct apus_asset assets[] = {
    ASSET("/index.html", HTML, index_html),
};

enum { asset_count = sizeof(assets) / sizeof(assets[0]) };

static char etags[asset_count][19];  // two quotes, 16 hex digits, the end

/// FNV-1a, 64 bits: it only has to differ when the content does, and nobody gains by a collision.
static uint64_t content_hash(const unsigned char *data, size_t size) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static void write_etags(void) {
    for (size_t i = 0; i < asset_count; i++) {
        uint64_t hash = content_hash(assets[i].data, assets[i].size);
        snprintf(etags[i], sizeof(etags[i]), "\"%016llx\"", (unsigned long long)hash);
        assets[i].etag = etags[i];
    }
}

const struct apus_asset *apus_assets(size_t *count) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_etags);
    *count = asset_count;
    return assets;
}
