digitalcard_fuzz(NAME fuzz_json SOURCES fuzz_json.c LIBRARIES digitalcard_messages PkgConfig::jansson
                 CORPUS corpus/json)
digitalcard_fuzz(NAME fuzz_msgpack SOURCES fuzz_msgpack.c LIBRARIES digitalcard_messages
                 CORPUS corpus/msgpack)
