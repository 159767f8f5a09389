# Varve. `make run` and `make test` are all a fresh Debian 12 needs; `make help` lists the rest.
MODE ?= release
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
OPT_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DVARVE_DEBUG
OPT_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -DVARVE_DEBUG
SAN_asan    := -fsanitize=address,undefined
SAN_tsan    := -fsanitize=thread
ALLOC_release := -ljemalloc
FLAGS  = $(STD) $(WARN) $(OPT_$(MODE)) -Isrc -I. $(CFLAGS)
LINK   = $(SAN_$(MODE)) -pthread -rdynamic $(LDFLAGS)
BASE_LIBS = -lb2 -lcrypto $(ALLOC_$(MODE)) -lm
ALL_LIBS  = -lev -lcjson_utils -lcjson -lssl $(BASE_LIBS) -ldl

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
SUPPORT  := $(call obj,$(wildcard tests/support/*.c))

.PHONY: all
all: $(O)/varve-server $(O)/varve $(O)/libvarve.a $(O)/modules/string.so

$(O)/%.o: %.c | $(O)/deps-ok
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -fPIC -DVARVE_STAMP='"$(STAMP)"' -MMD -MP -c $< -o $@ && echo "  cc $<"
-include $(patsubst %.o,%.d,$(BASE) $(ENGINE) $(KEYSPACE) $(SERVER) $(MODULES) $(TOOL) $(DEMO) $(SUPPORT))

define archive
	@rm -f $@ && ar rcs $@ $^ && echo "  ar $@"
endef
$(O)/libbase.a: $(BASE); $(archive)
$(O)/libvarve.a: $(ENGINE) $(BASE); $(archive)
$(O)/libkeyspace.a: $(KEYSPACE); $(archive)
$(O)/libserver.a: $(SERVER); $(archive)
$(O)/libmodules.a: $(MODULES); $(archive)

CHAIN_base     = $(O)/libbase.a
CHAIN_engine   = $(O)/libvarve.a
CHAIN_keyspace = $(O)/libkeyspace.a $(O)/libvarve.a
CHAIN_server   = $(O)/libserver.a $(O)/libkeyspace.a $(O)/libvarve.a
CHAIN_modules  = $(O)/libmodules.a $(CHAIN_server)
WHOLE = -Wl,--whole-archive
UNWHOLE = -Wl,--no-whole-archive

$(O)/varve-server: $(O)/src/server/main.o $(CHAIN_modules)
	@$(CC) $(LINK) $(O)/src/server/main.o $(WHOLE) $(CHAIN_modules) $(UNWHOLE) $(ALL_LIBS) -o $@ && echo "  ld $@"
$(O)/varve: $(TOOL) $(O)/libvarve.a
	@$(CC) $(LINK) $(TOOL) $(O)/libvarve.a $(BASE_LIBS) -o $@ && echo "  ld $@"
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
	@$$(CC) $$(FLAGS) -Itests -MMD -MP $$< $$(SUPPORT) $$(LINK) $$(WHOLE) $$(CHAIN_$(1)) $$(UNWHOLE) -lcmocka $$(if $$(filter server modules keyspace,$(1)),$$(ALL_LIBS),-lcjson $$(BASE_LIBS)) -o $$@ && echo "  ld $$@"
.PHONY: unit-$(1)
unit-$(1): $$(call unit_bins,$(1))
	@tests/support/run-unit $$^
endef
$(foreach l,$(LAYERS) modules,$(eval $(call unit_rules,$(l))))
-include $(patsubst %,%.d,$(UNIT))

# ---- what the machine must have ----
RUN_PACKAGES  := gcc make libc6-dev libev-dev libb2-dev libcjson-dev libssl-dev liblua5.1-0-dev libjemalloc-dev
TEST_PACKAGES := $(RUN_PACKAGES) libcmocka-dev libhiredis-dev tcl redis-server redis-tools spin valgrind git dpkg-dev procps
$(O)/deps-ok:
	@mkdir -p $(@D)
	@tests/support/need $(RUN_PACKAGES)
	@touch $@
$(O)/test-deps-ok:
	@mkdir -p $(@D)
	@tests/support/need $(TEST_PACKAGES)
	@touch $@ $(O)/deps-ok

.PHONY: run
run: all
	@mkdir -p $(DIR)
	$(O)/varve-server --port $(PORT) --dir $(DIR) $(ARGS)

.PHONY: clean
clean:
	rm -rf build
