package org.alpaca4j.core.internal.family;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How a family spells its {@code config.json} and its checkpoints: what it calls the fields that
 * most families have, what a missing field means, and which tensors of its files are no weights.
 * Made by the family's constructor and not changed later.
 */
public final class Profile {
  /** What another place than a family's configuration has: every name is itself, no defaults. */
  static final Profile NONE = new Profile("");

  private final String architecture;
  private final Map<String, List<String>> names = new HashMap<>();
  private final Map<String, Object> defaults = new HashMap<>();
  private final Set<String> nullMeansDefault = new HashSet<>();
  private final List<String> ignored = new ArrayList<>();
  private String base = "model.";
  private String head = "lm_head.weight";

  private Profile(String architecture) {
    this.architecture = architecture;
  }

  /**
   * Starts a profile.
   *
   * @param architecture the class that transformers loads the model with
   */
  static Profile of(String architecture) {
    return new Profile(architecture);
  }

  /**
   * Adds what the family calls a field; where a file has several of the names, the first counts.
   */
  Profile named(String field, String... familyNames) {
    names.put(field, List.of(familyNames));
    return this;
  }

  /** Adds what a missing field means: a number, a boolean, a string or a list of numbers. */
  Profile or(String field, Object value) {
    defaults.put(field, value);
    return this;
  }

  /** Adds what a field means that is missing, or there as null. */
  Profile orIfNull(String field, Object value) {
    nullMeansDefault.add(field);
    return or(field, value);
  }

  /** Adds the ids that missing fields for tokens mean. */
  Profile tokens(int bos, int eos) {
    return or("bos_token_id", bos).or("eos_token_id", eos);
  }

  /** Adds an expression for tensors of published files that are not weights, such as buffers. */
  Profile ignore(String expression) {
    ignored.add(expression);
    return this;
  }

  /** Sets what the names of all tensors but the head begin with; some files leave it out. */
  Profile base(String prefix) {
    base = prefix;
    return this;
  }

  /** Sets the name of the head's matrix; also that of its copy in the file of a tied model. */
  Profile head(String tensor) {
    head = tensor;
    return this;
  }

  /** Returns the class that transformers loads the model with. */
  public String architecture() {
    return architecture;
  }

  /** Returns the names that a field may have, those that count most first. */
  public List<String> names(String field) {
    return names.getOrDefault(field, List.of(field));
  }

  /** Returns what a missing field means, or null if nothing in particular. */
  public @Nullable Object defaultOf(String field) {
    return defaults.get(field);
  }

  /** Returns whether a field that is there as null has its default, too. */
  boolean nullMeansDefault(String field) {
    return nullMeansDefault.contains(field);
  }

  /** Returns what the names of all tensors but the head begin with; some files leave it out. */
  public String base() {
    return base;
  }

  /** Returns the name of the head's matrix, or of the copy of the embedding in its place. */
  public String head() {
    return head;
  }

  /** Returns whether a tensor of a published file is to be ignored: a buffer, not a weight. */
  public boolean ignores(String tensor) {
    for (String expression : ignored) {
      if (Pattern.matches(expression, tensor)) {
        return true;
      }
    }
    return false;
  }
}
