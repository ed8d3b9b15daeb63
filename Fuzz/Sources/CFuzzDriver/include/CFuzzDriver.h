// libFuzzer as a library: SwiftPM names an executable's main itself, so the driver is called instead of linked as main.
#pragma once
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
