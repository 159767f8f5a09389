# Varve. `make run` and `make test` are all a fresh Debian 12 needs; `make help` lists the rest.
MODE ?= release
ifeq ($(filter release debug asan tsan,$(MODE)),)
$(error MODE is release, debug, asan or tsan, not '$(MODE)')
endif
O    ?= build$(if $(filter-out release,$(MODE)),/$(MODE))
CC   ?= gcc
PORT ?= 6379
DIR  ?= ./data
ARGS ?=

WARN  := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
         -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wno-format-nonliteral -Wno-unused-parameter -Wno-missing-field-initializers
STD   := -std=gnu17 -D_GNU_SOURCE -fvisibility=hidden -fno-strict-aliasing -fno-math-errno -pthread -mcx16
STAMP := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
OPT_release := -O2 -g -fno-omit-frame-pointer -fno-plt
OPT_debug   := -O0 -g -DVARVE_DEBUG
OPT_asan    := -Wno-format-truncation -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DVARVE_DEBUG
OPT_tsan    := -Wno-format-truncation -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DVARVE_DEBUG
SAN_asan    := -fsanitize=address,undefined
SAN_tsan    := -fsanitize=thread
ALLOC_release := -ljemalloc
FLAGS  = $(STD) $(WARN) $(OPT_$(MODE)) -Isrc -I. -I$(O)/generated $(CFLAGS)
LINK   = $(SAN_$(MODE)) -pthread -rdynamic $(LDFLAGS)
BASE_LIBS = -lb2 -lcrypto $(ALLOC_$(MODE)) -lm
ALL_LIBS  = -lev $(BASE_LIBS) -ldl

# ---- sources: a layer is a folder ----
src = $(wildcard src/$(1)/*.c)
obj = $(patsubst %.c,$(O)/%.o,$(1))
LAYERS   := base engine keyspace server
BASE     := $(call obj,$(call src,base))
ENGINE   := $(call obj,$(call src,engine))
KEYSPACE := $(call obj,$(call src,keyspace))
SERVER   := $(call obj,$(filter-out src/server/main.c,$(call src,server)))
MODULES  := $(call obj,$(wildcard modules/*/*.c))
TOOL     := $(call obj,$(call src,tool))
DEMO     := $(call obj,$(call src,demo))
SUPPORT  := $(O)/libsupport.a

.PHONY: all
all: $(O)/varve-server $(O)/varve $(O)/libvarve.a $(O)/modules/string.so

$(O)/%.o: %.c | $(O)/deps-ok
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -fPIC -DVARVE_STAMP='"$(STAMP)"' -MMD -MP -c $< -o $@ && echo "  cc $<"
-include $(patsubst %.o,%.d,$(O)/src/server/main.o $(BASE) $(ENGINE) $(KEYSPACE) $(SERVER) $(MODULES) $(TOOL) $(DEMO) $(call obj,$(wildcard tests/support/*.c)))

# Which characters make words, and their case folding: from the machine's Unicode database.
WORDS_TABLE := $(O)/generated/base/words_table.h
UNICODE     := /usr/share/unicode/UnicodeData.txt /usr/share/unicode/CaseFolding.txt
$(WORDS_TABLE): src/base/words_table.pl $(wildcard $(UNICODE)) | $(O)/deps-ok
	@mkdir -p $(@D)
	@perl $< $(UNICODE) >$@.new && mv $@.new $@ && echo "  made $@"
$(O)/src/base/words.o: $(WORDS_TABLE)

define archive
	@rm -f $@ && ar rcs $@ $^ && echo "  ar $@"
endef
$(O)/libbase.a: $(BASE); $(archive)
$(O)/libvarve.a: $(ENGINE) $(BASE); $(archive)
$(O)/libkeyspace.a: $(KEYSPACE); $(archive)
$(O)/libserver.a: $(SERVER); $(archive)
$(O)/libmodules.a: $(MODULES); $(archive)
$(O)/libsupport.a: $(call obj,$(wildcard tests/support/*.c)); $(archive)

CHAIN_base     = $(O)/libbase.a
CHAIN_engine   = $(O)/libvarve.a
CHAIN_keyspace = $(O)/libkeyspace.a $(O)/libvarve.a
CHAIN_server   = $(O)/libserver.a $(O)/libkeyspace.a $(O)/libvarve.a
CHAIN_modules  = $(O)/libmodules.a $(CHAIN_server)
WHOLE = -Wl,--whole-archive
UNWHOLE = -Wl,--no-whole-archive

$(O)/varve-server: $(O)/src/server/main.o $(CHAIN_modules)
	@$(CC) $(LINK) $(O)/src/server/main.o $(WHOLE) $(CHAIN_modules) $(UNWHOLE) $(ALL_LIBS) -o $@ && echo "  ld $@"
$(O)/varve: $(TOOL) $(CHAIN_keyspace)
	@$(CC) $(LINK) $(TOOL) $(CHAIN_keyspace) $(BASE_LIBS) -o $@ && echo "  ld $@"
# Any family also builds as a loadable module from the same source.
$(O)/modules/%.so: $(wildcard modules/*/*.c modules/*/*.h) src/module.h | $(O)/deps-ok
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -fPIC -shared -DVARVE_MODULE_SHARED $(wildcard modules/$*/*.c) -o $@ && echo "  so $@"

# ---- unit tests: each layer's tests link that layer and the ones below only ----
unit_bins = $(patsubst %.c,$(O)/%,$(wildcard tests/unit/$(1)/test_*.c))
UNIT := $(foreach l,$(LAYERS) modules,$(call unit_bins,$(l)))
define unit_rules
$(O)/tests/unit/$(1)/%: tests/unit/$(1)/%.c $$(CHAIN_$(1)) $$(SUPPORT)
	@mkdir -p $$(@D)
	@$$(CC) $$(FLAGS) -Itests -MMD -MP $$< $$(SUPPORT) $$(LINK) $$(WHOLE) $$(CHAIN_$(1)) $$(UNWHOLE) -lcmocka $$(if $$(filter server modules keyspace,$(1)),-lcjson $$(ALL_LIBS),-lcjson $$(BASE_LIBS)) -o $$@ && echo "  ld $$@"
.PHONY: unit-$(1)
unit-$(1): $$(call unit_bins,$(1))
	@tests/support/run-unit $$^
endef
$(foreach l,$(LAYERS) modules,$(eval $(call unit_rules,$(l))))
-include $(patsubst %,%.d,$(UNIT))

# ---- what the machine must have ----
RUN_PACKAGES  := gcc make libc6-dev libev-dev libb2-dev libcjson-dev libssl-dev liblua5.1-0-dev libjemalloc-dev perl-base unicode-data redis-tools
DEMO_PACKAGES := libhiredis-dev
TEST_PACKAGES := $(RUN_PACKAGES) $(DEMO_PACKAGES) libcmocka-dev tcl redis-server spin valgrind git dpkg-dev procps
$(O)/deps-ok: Makefile
	@mkdir -p $(@D)
	@tests/support/need $(RUN_PACKAGES)
	@touch $@
$(O)/demo-deps-ok: | $(O)/deps-ok
	@mkdir -p $(@D)
	@tests/support/need $(DEMO_PACKAGES)
	@touch $@
$(O)/test-deps-ok: | $(O)/demo-deps-ok
	@mkdir -p $(@D)
	@tests/support/need $(TEST_PACKAGES)
	@touch $@ $(O)/deps-ok

.PHONY: run
run: all
	@mkdir -p $(DIR)
	$(O)/varve-server --port $(PORT) --dir $(DIR) $(ARGS)

.PHONY: demo
demo: all $(O)/varve-demo
	@$(O)/varve-demo --server $(O)/varve-server --tool $(O)/varve $(if $(KEEP),--keep)
$(DEMO): | $(O)/demo-deps-ok
$(O)/varve-demo: $(DEMO) $(O)/libbase.a
	@$(CC) $(LINK) $(DEMO) $(O)/libbase.a -lhiredis -lcjson $(BASE_LIBS) -o $@ && echo "  ld $@"

# ---- tests ----
# Programs that are tests by themselves: what they link is what they may use.
CRASH := $(patsubst tests/crash/%.c,$(O)/tests/crash/%,$(wildcard tests/crash/test_*.c))
MODEL := $(patsubst tests/model/%.c,$(O)/tests/model/%,$(wildcard tests/model/*.c))
SOAK  := $(O)/tests/soak/soak
E2E   := $(patsubst tests/e2e/%.c,$(O)/tests/e2e/%,$(wildcard tests/e2e/*.c)) $(O)/tests/server-without-string
fuzz_names := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SMOKE = $(patsubst %,$(O)/fuzz/%,$(fuzz_names))

.PHONY: units check test
units: $(UNIT)

# Under a minute: before each commit.
check: $(O)/test-deps-ok all $(UNIT)
	@tests/support/run-all $(O) tidy unit

# Everything. One closing line; fails when anything fails.
test: $(O)/test-deps-ok all $(O)/varve-demo $(UNIT) $(CRASH) $(MODEL) $(E2E) $(FUZZ_SMOKE)
	@tests/support/run-all $(O)

$(O)/tests/crash/%: tests/crash/%.c $(CHAIN_keyspace) $(SUPPORT)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -Itests -MMD -MP $< $(SUPPORT) $(LINK) $(WHOLE) $(CHAIN_keyspace) $(UNWHOLE) -lcmocka -lcjson $(BASE_LIBS) -o $@ && echo "  ld $@"
# One asks by commands, so it links everything.
$(O)/tests/crash/test_revert_crash: tests/crash/test_revert_crash.c $(CHAIN_modules) $(SUPPORT)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -Itests -MMD -MP $< $(SUPPORT) $(LINK) $(WHOLE) $(CHAIN_modules) $(UNWHOLE) -lcmocka -lcjson $(ALL_LIBS) -o $@ && echo "  ld $@"
$(O)/tests/model/%: tests/model/%.c $(O)/libbase.a $(SUPPORT)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -Itests -MMD -MP $< $(SUPPORT) $(LINK) $(O)/libbase.a -lhiredis -lcmocka -lcjson $(BASE_LIBS) -o $@ && echo "  ld $@"
$(O)/tests/e2e/%: tests/e2e/%.c $(O)/libbase.a $(SUPPORT)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -Itests -MMD -MP $< $(SUPPORT) $(LINK) $(O)/libbase.a -lhiredis -lcmocka -lcjson $(BASE_LIBS) -o $@ && echo "  ld $@"

$(O)/tests/soak/%: tests/soak/%.c $(O)/libbase.a $(SUPPORT)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -Itests -MMD -MP $< $(SUPPORT) $(LINK) $(O)/libbase.a -lhiredis $(BASE_LIBS) -o $@ && echo "  ld $@"
-include $(patsubst %,%.d,$(CRASH) $(MODEL) $(E2E) $(SOAK))

# Everything mixed, with kills, for half an hour.
SOAK_MINUTES ?= 30
.PHONY: soak
soak: $(O)/test-deps-ok all $(SOAK)
	VARVE_SERVER=$(O)/varve-server $(SOAK) --minutes $(SOAK_MINUTES) $(if $(SEED),--seed $(SEED))

# The server without one family, for the test that loads that family as a module.
$(O)/tests/server-without-string: $(O)/src/server/main.o $(filter-out $(O)/modules/string/%,$(MODULES)) $(CHAIN_server)
	@mkdir -p $(@D)
	@$(CC) $(LINK) $(filter %.o,$^) $(WHOLE) $(CHAIN_server) $(UNWHOLE) $(ALL_LIBS) -o $@ && echo "  ld $@"

# More crash points than the test run takes: round after round with a new seed until stopped, or once with POINTS=100000 SEED=7.
POINTS ?= 0
SEED ?= 1
.PHONY: crash
crash: $(O)/test-deps-ok $(CRASH)
	@seed=$(SEED); while :; do \
	    for t in $(CRASH); do echo "$$t, seed $$seed"; $$t --points $(or $(filter-out 0,$(POINTS)),3000) --seed $$seed || exit 1; done; \
	    [ $(POINTS) -eq 0 ] || break; seed=$$((seed + 1)); done

# ---- fuzzing: each target runs under libFuzzer (make fuzz) and under a small driver in the tests ----
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := $(STD) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -DVARVE_DEBUG -Isrc -I. -I$(O)/generated -Itests
FUZZ_PARTS = src/server/resp.c $(wildcard modules/doc/nql*.c modules/doc/patch_*.c) modules/key/rdb.c
FUZZ_SRC = $(wildcard src/base/*.c src/engine/*.c) $(FUZZ_PARTS)
FUZZ_OBJ = $(patsubst %.c,$(ASAN_DIR)/%.o,$(FUZZ_PARTS))
ASAN_DIR := $(O)/asan
$(O)/fuzz/%: tests/fuzz/%.c tests/fuzz/driver.c $(O)/fuzz/library
	@$(CC) $(FUZZ_FLAGS) $< tests/fuzz/driver.c $(FUZZ_OBJ) $(ASAN_DIR)/libvarve.a -pthread -rdynamic -lb2 -lcrypto -lcjson -lm -o $@ && echo "  ld $@"
$(O)/fuzz/library: $(FUZZ_SRC)
	@mkdir -p $(@D)
	@$(MAKE) -s MODE=asan O=$(ASAN_DIR) $(ASAN_DIR)/libvarve.a $(FUZZ_OBJ)
	@touch $@
# Under libFuzzer the code is built once more, by clang and with its own counters. What is found lies in $(O)/libfuzzer/found.
LF := $(O)/libfuzzer
LF_OBJ = $(patsubst %.c,$(LF)/%.o,$(FUZZ_PARTS))
.PHONY: fuzz
fuzz: $(O)/test-deps-ok
	@tests/support/need clang libclang-rt-14-dev
	@$(MAKE) -s MODE=asan CC=clang WARN=-w CFLAGS=-fsanitize=fuzzer-no-link O=$(LF) $(LF)/libvarve.a $(LF_OBJ)
	@mkdir -p $(LF)/found
	@for t in $(or $(FUZZ),$(fuzz_names)); do \
	    echo "fuzzing $$t for $(FUZZ_SECONDS) s"; mkdir -p $(O)/corpus/$$t; \
	    clang $(FUZZ_FLAGS) -fsanitize=fuzzer tests/fuzz/$$t.c $(LF_OBJ) $(LF)/libvarve.a -pthread -rdynamic -lb2 -lcrypto -lcjson -lm -o $(LF)/$$t && \
	    $(LF)/$$t -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix=$(LF)/found/$$t- $(O)/corpus/$$t tests/fuzz/corpus/$$t \
	        >$(LF)/$$t.log 2>&1 || { tail -40 $(LF)/$$t.log; exit 1; }; \
	    grep -E 'number_of_executed_units|cov:' $(LF)/$$t.log | tail -2 | sed 's/^/  /'; done

# ---- measuring ----
.PHONY: bench
bench: $(O)/test-deps-ok all
	@tests/support/need librocksdb-dev libleveldb-dev liblmdb-dev
	@$(MAKE) -s $(O)/engine-bench
	@tests/bench/run $(O) $(BENCH)
$(O)/engine-bench: tests/bench/engine.c $(O)/libvarve.a
	@$(CC) $(FLAGS) $< $(LINK) $(O)/libvarve.a -lrocksdb -lleveldb -llmdb $(BASE_LIBS) -o $@ && echo "  ld $@"

# ---- looking after the code ----
C_FILES = $(shell git ls-files '*.c' '*.h')
.PHONY: format lint
format:
	@tests/support/need clang-format
	@clang-format -i $(C_FILES)
lint: $(O)/deps-ok $(WORDS_TABLE)
	@tests/support/need clang-tidy cppcheck
	@printf '%s\n' $(filter src/% modules/%,$(filter %.c,$(C_FILES))) | xargs -P2 -n8 sh -c \
	    'clang-tidy --quiet "$$@" -- $(STD) -DVARVE_STAMP=\"lint\" -Isrc -I. -I$(O)/generated 2>&1 | { ! grep -v "warnings\? generated\|^Suppressed\|^Use -header-filter"; }' tidy
	@cppcheck --quiet --enable=warning,portability,information --suppressions-list=.cppcheck --error-exitcode=1 --suppress=missingIncludeSystem \
	    -Isrc -I. -I$(O)/generated src modules

.PHONY: clean help
clean:
	rm -rf build
help:
	@echo "make            build/varve-server, build/varve, build/libvarve.a"
	@echo "make run        install what is missing, build, serve on port $(PORT) with data in $(DIR)  (PORT= DIR= ARGS=)"
	@echo "make demo       load this machine's package catalogue and walk through the commands        (KEEP=1 leaves it running)"
	@echo "make check      the quick tests; make test: everything"
	@echo "make crash      crash points without end (POINTS= SEED=); make fuzz: libFuzzer (FUZZ_SECONDS= FUZZ=names)"
	@echo "make soak       everything mixed, with kills and checks    (SOAK_MINUTES= SEED=)"
	@echo "make bench      side by side with redis-server                                             (BENCH=names of parts)"
	@echo "make format     clang-format; make lint: clang-tidy and cppcheck"
	@echo "MODE=asan|tsan|debug  with any of these, in build/MODE"
