/* libcurl for Swift: its variadic functions as ordinary ones, its macros as functions. */
#ifndef CCURL_H
#define CCURL_H
#include <curl/curl.h>
#include <stddef.h>
#include <string.h>

typedef size_t (*ccurl_write_fn)(char *bytes, size_t size, size_t count, void *context);
typedef int (*ccurl_socket_fn)(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context);
typedef int (*ccurl_timer_fn)(CURLM *multi, long timeout_ms, void *context);

static inline CURLcode ccurl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }

static inline CURLcode ccurl_set_long(CURL *h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_string(CURL *h, CURLoption o, const char *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_pointer(CURL *h, CURLoption o, void *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_list(CURL *h, CURLoption o, struct curl_slist *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_write(CURL *h, CURLoption o, ccurl_write_fn f) { return curl_easy_setopt(h, o, f); }
/* Copies the bytes. */
static inline CURLcode ccurl_set_blob(CURL *h, CURLoption o, const void *bytes, size_t count) {
    struct curl_blob blob = {(void *)bytes, count, CURL_BLOB_COPY};
    return curl_easy_setopt(h, o, &blob);
}
static inline CURLcode ccurl_get_long(CURL *h, CURLINFO i, long *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode ccurl_get_offset(CURL *h, CURLINFO i, curl_off_t *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode ccurl_get_string(CURL *h, CURLINFO i, char **v) { return curl_easy_getinfo(h, i, v); }
static inline void *ccurl_private(CURL *h) {
    char *context = NULL;
    curl_easy_getinfo(h, CURLINFO_PRIVATE, &context);
    return context;
}

static inline CURLMcode ccurl_multi_set_long(CURLM *m, CURLMoption o, long v) { return curl_multi_setopt(m, o, v); }
static inline CURLMcode ccurl_multi_set_callbacks(CURLM *m, ccurl_socket_fn socket, ccurl_timer_fn timer, void *context) {
    curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, socket);
    curl_multi_setopt(m, CURLMOPT_SOCKETDATA, context);
    curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, timer);
    return curl_multi_setopt(m, CURLMOPT_TIMERDATA, context);
}
/* The next transfer that is over, or NULL. */
static inline CURL *ccurl_multi_next_done(CURLM *m, CURLcode *code) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(m, &left)))
        if (message->msg == CURLMSG_DONE) {
            *code = message->data.result;
            return message->easy_handle;
        }
    return NULL;
}

/* `location` as seen from `base`, without a fragment; NULL when it is no URL. Free with curl_free. */
static inline char *ccurl_resolve(const char *base, const char *location) {
    char *result = NULL;
    CURLU *url = curl_url();
    if (url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK) {
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
        curl_url_get(url, CURLUPART_URL, &result, 0);
    }
    curl_url_cleanup(url);
    return result;
}
/* One part of `text`, with the scheme's port where none is given; NULL when there is none. Free with curl_free. */
static inline char *ccurl_url_part(const char *text, CURLUPart part) {
    char *result = NULL;
    CURLU *url = curl_url();
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) curl_url_get(url, part, &result, CURLU_DEFAULT_PORT);
    curl_url_cleanup(url);
    return result;
}
/* `text` with another host; NULL when it is no URL. Free with curl_free. */
static inline char *ccurl_replace_host(const char *text, const char *host) {
    char *result = NULL;
    CURLU *url = curl_url();
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && curl_url_set(url, CURLUPART_HOST, host, 0) == CURLUE_OK)
        curl_url_get(url, CURLUPART_URL, &result, 0);
    curl_url_cleanup(url);
    return result;
}
#endif
