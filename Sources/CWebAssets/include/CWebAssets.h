#ifndef CWEBASSETS_H
#define CWEBASSETS_H

#include <stddef.h>

/// One file of the web interface, as it is in `Assets/`, compiled into the binary.
struct apus_asset {
    /// Where it is served: `/index.html`, `/assets/app.js`, … The server also answers `/`, `/query`, `/graph`,
    /// `/targets` and `/status` with `/index.html`, which chooses the page in the browser.
    const char *path;
    /// The value of the Content-Type header.
    const char *content_type;
    /// `size` bytes, valid for the life of the process.
    const unsigned char *data;
    size_t size;
    /// A hash of the content in quotes, ready for the ETag header: it changes exactly when the file does.
    const char *etag;
};

/// All files, in the order of their paths' appearance in the interface; `*count` receives how many.
/// Safe to call from any thread; the result stays valid for the life of the process.
const struct apus_asset *apus_assets(size_t *count);

#endif
