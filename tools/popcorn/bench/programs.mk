# SPDX-License-Identifier: GPL-2.0
# The programs with threads that kernels run together, bench/ and litmus/, and those
# that measure.
#
#   make programs [O=DIR] [CC=...] [CFLAGS=...] [PROGRAM_LDFLAGS=...]
#
# For each NAME there are O/programs/NAME, linked with shared libraries, and
# O/programs/NAME-static, without. WERROR=1 and LDLIBS=-s are as for the command;
# STATIC and LDFLAGS are not for these.

PROGRAMS := ep cg is fft radix lu queue scatter share rw threads migrate litmus cost tax
PROGRAM_DIR := $(O)/programs
PROGRAM_PARTS_migrate := hop
PROGRAM_PARTS_litmus := order count
PROGRAM_PARTS_cost := cost_pages cost_pairs cost_steps

program_objects = $(patsubst %,$(PROGRAM_DIR)/%.o, \
		  $(1) $(PROGRAM_PARTS_$(1)) bench place)
PROGRAM_OBJECTS := $(sort $(foreach p,$(PROGRAMS),$(call program_objects,$(p))))
PROGRAM_LINK = $(CC) $(CFLAGS) $(PROGRAM_LDFLAGS) -pthread

programs: $(PROGRAMS:%=$(PROGRAM_DIR)/%) $(PROGRAMS:%=$(PROGRAM_DIR)/%-static)

# What tax executes.
$(foreach p,tax tax-static,$(PROGRAM_DIR)/$(p)): | $(PROGRAM_DIR)/nothing

$(PROGRAM_DIR)/nothing: $(PROGRAM_DIR)/nothing.o
	$(PROGRAM_LINK) -static -nostdlib -o $@ $<

define program_rules
$(PROGRAM_DIR)/$(1): $(call program_objects,$(1))
	$$(PROGRAM_LINK) -o $$@ $$^ -lm $$(LDLIBS)

$(PROGRAM_DIR)/$(1)-static: $(call program_objects,$(1))
	$$(PROGRAM_LINK) -static -o $$@ $$^ -lm $$(LDLIBS)
endef

$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$(p))))

$(PROGRAM_DIR)/%.o: bench/%.c $(PROGRAM_DIR)/programs.flags
	$(COMPILE) -pthread -MMD -MP -c -o $@ $<

$(PROGRAM_DIR)/%.o: litmus/%.c $(PROGRAM_DIR)/programs.flags
	$(COMPILE) -pthread -MMD -MP -c -o $@ $<

$(PROGRAM_DIR)/%.o: bench/%.S $(PROGRAM_DIR)/programs.flags
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(PROGRAM_DIR)/programs.flags: FORCE
	@mkdir -p $(PROGRAM_DIR)
	@echo '$(COMPILE) $(PROGRAM_LINK)' | cmp -s - $@ || \
		echo '$(COMPILE) $(PROGRAM_LINK)' >$@

clean: clean-programs

clean-programs:
	rm -f $(PROGRAM_OBJECTS) $(PROGRAM_OBJECTS:.o=.d) $(PROGRAM_DIR)/programs.flags \
		$(PROGRAMS:%=$(PROGRAM_DIR)/%) $(PROGRAMS:%=$(PROGRAM_DIR)/%-static) \
		$(PROGRAM_DIR)/nothing $(PROGRAM_DIR)/nothing.o $(PROGRAM_DIR)/nothing.d

-include $(PROGRAM_OBJECTS:.o=.d)

.PHONY: programs clean-programs
