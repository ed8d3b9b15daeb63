#include "cre2shim.h"

#include <re2/re2.h>

#include <cstring>
#include <new>
#include <string>
#include <vector>

static inline const re2::RE2 *unwrap(const cre2_regex *regex) { return reinterpret_cast<const re2::RE2 *>(regex); }

extern "C" cre2_regex *cre2_new(const char *pattern, size_t size, long max_memory, char *error, size_t error_capacity) {
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_dot_nl(true);
    options.set_max_mem(max_memory);
    auto *regex = new (std::nothrow) re2::RE2(re2::StringPiece(pattern, size), options);
    if (regex == nullptr) return nullptr;
    if (!regex->ok()) {
        if (error_capacity > 0) {
            std::strncpy(error, regex->error().c_str(), error_capacity - 1);
            error[error_capacity - 1] = 0;
        }
        delete regex;
        return nullptr;
    }
    return reinterpret_cast<cre2_regex *>(regex);
}

extern "C" void cre2_free(cre2_regex *regex) { delete unwrap(regex); }

extern "C" int cre2_full_match(const cre2_regex *regex, const char *text, size_t size) {
    return unwrap(regex)->Match(re2::StringPiece(text, size), 0, size, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

extern "C" int cre2_group_count(const cre2_regex *regex) { return unwrap(regex)->NumberOfCapturingGroups(); }

extern "C" int cre2_full_match_groups(const cre2_regex *regex, const char *text, size_t size, ptrdiff_t *offsets, int groups) {
    std::vector<re2::StringPiece> found(groups > 0 ? groups : 0);
    if (!unwrap(regex)->Match(re2::StringPiece(text, size), 0, size, re2::RE2::ANCHOR_BOTH, found.data(), groups)) return 0;
    for (int i = 0; i < groups; i++) {
        if (found[i].data() == nullptr) {
            offsets[2 * i] = offsets[2 * i + 1] = -1;
        } else {
            offsets[2 * i] = found[i].data() - text;
            offsets[2 * i + 1] = offsets[2 * i] + static_cast<ptrdiff_t>(found[i].size());
        }
    }
    return 1;
}

extern "C" int cre2_group_number(const cre2_regex *regex, const char *name, size_t size) {
    const auto &groups = unwrap(regex)->NamedCapturingGroups();
    auto found = groups.find(std::string(name, size));
    return found == groups.end() ? -1 : found->second;
}
