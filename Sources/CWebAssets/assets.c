// The web interface, embedded: one binary serves it, with no folder to install beside it.

#include "CWebAssets.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "Assets/index.html"
};
static const unsigned char app_js[] = {
#embed "Assets/app.js"
};
static const unsigned char api_js[] = {
#embed "Assets/api.js"
};
static const unsigned char catalogue_js[] = {
#embed "Assets/catalogue.js"
};
static const unsigned char chart_js[] = {
#embed "Assets/chart.js"
};
static const unsigned char dom_js[] = {
#embed "Assets/dom.js"
};
static const unsigned char editor_js[] = {
#embed "Assets/editor.js"
};
static const unsigned char format_js[] = {
#embed "Assets/format.js"
};
static const unsigned char graph_view_js[] = {
#embed "Assets/graph-view.js"
};
static const unsigned char promql_js[] = {
#embed "Assets/promql.js"
};
static const unsigned char query_page_js[] = {
#embed "Assets/query-page.js"
};
static const unsigned char query_panel_js[] = {
#embed "Assets/query-panel.js"
};
static const unsigned char relabel_page_js[] = {
#embed "Assets/relabel-page.js"
};
static const unsigned char series_label_js[] = {
#embed "Assets/series-label.js"
};
static const unsigned char settings_js[] = {
#embed "Assets/settings.js"
};
static const unsigned char status_page_js[] = {
#embed "Assets/status-page.js"
};
static const unsigned char table_view_js[] = {
#embed "Assets/table-view.js"
};
static const unsigned char targets_page_js[] = {
#embed "Assets/targets-page.js"
};
static const unsigned char ticks_js[] = {
#embed "Assets/ticks.js"
};
static const unsigned char url_state_js[] = {
#embed "Assets/url-state.js"
};
static const unsigned char style_css[] = {
#embed "Assets/style.css"
};
static const unsigned char favicon_svg[] = {
#embed "Assets/favicon.svg"
};

#define HTML "text/html; charset=utf-8"
#define JS "text/javascript; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SVG "image/svg+xml"
#define ASSET(url, type, bytes) {url, type, bytes, sizeof(bytes), ""}

static struct apus_asset assets[] = {
    ASSET("/index.html", HTML, index_html),
    ASSET("/assets/app.js", JS, app_js),
    ASSET("/assets/api.js", JS, api_js),
    ASSET("/assets/catalogue.js", JS, catalogue_js),
    ASSET("/assets/chart.js", JS, chart_js),
    ASSET("/assets/dom.js", JS, dom_js),
    ASSET("/assets/editor.js", JS, editor_js),
    ASSET("/assets/format.js", JS, format_js),
    ASSET("/assets/graph-view.js", JS, graph_view_js),
    ASSET("/assets/promql.js", JS, promql_js),
    ASSET("/assets/query-page.js", JS, query_page_js),
    ASSET("/assets/query-panel.js", JS, query_panel_js),
    ASSET("/assets/relabel-page.js", JS, relabel_page_js),
    ASSET("/assets/series-label.js", JS, series_label_js),
    ASSET("/assets/settings.js", JS, settings_js),
    ASSET("/assets/status-page.js", JS, status_page_js),
    ASSET("/assets/table-view.js", JS, table_view_js),
    ASSET("/assets/targets-page.js", JS, targets_page_js),
    ASSET("/assets/ticks.js", JS, ticks_js),
    ASSET("/assets/url-state.js", JS, url_state_js),
    ASSET("/assets/style.css", CSS, style_css),
    ASSET("/assets/favicon.svg", SVG, favicon_svg),
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
