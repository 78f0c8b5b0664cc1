package org.alpaca4j.core;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * Low-rank adapters (LoRA, Hu et al. 2021): to the product with a frozen matrix W [out, in] comes
 * {@code scale * (x A^T) B^T} with trained A [r, in] and B [out, r]. The options are those of
 * PEFT's {@code LoraConfig}, under the same names.
 *
 * <p>Modules are named as in the checkpoint: {@code model.layers.0.self_attn.q_proj}.
 *
 * <p>Immutable and thread-safe.
 */
public final class LoraConfig {
  /** How a new adapter begins; B is zero in both, so that the model answers as before. */
  public enum Init {
    /** A uniform between -1/sqrt(in) and 1/sqrt(in), as PyTorch begins a linear layer. */
    DEFAULT,
    /** A normal with standard deviation 1/r. */
    GAUSSIAN
  }

  private final int r;
  private final double alpha;
  private final double dropout;
  private final @Nullable List<String> targetModules;
  private final @Nullable String targetPattern;
  private final List<String> excludeModules;
  private final @Nullable String excludePattern;
  private final @Nullable List<Integer> layersToTransform;
  private final List<String> layersPattern;
  private final Map<String, Integer> rankPattern;
  private final Map<String, Double> alphaPattern;
  private final boolean useRslora;
  private final Init init;

  private LoraConfig(Builder builder) {
    r = builder.r;
    alpha = builder.alpha;
    dropout = builder.dropout;
    targetModules = builder.targetModules;
    targetPattern = builder.targetPattern;
    excludeModules = builder.excludeModules;
    excludePattern = builder.excludePattern;
    layersToTransform = builder.layersToTransform;
    layersPattern = builder.layersPattern;
    rankPattern = builder.rankPattern;
    alphaPattern = builder.alphaPattern;
    useRslora = builder.useRslora;
    init = builder.init;
  }

  /** Returns a builder with PEFT's defaults, but for the targets: all linear modules. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Reads the options of an adapter that this library or PEFT has written.
   *
   * @param folder with adapter_config.json
   * @throws CheckpointException if there is none, or it is malformed
   * @throws UnsupportedModelException if it is no LoRA, or one with options that are not supported
   */
  public static LoraConfig load(Path folder) {
    return AdapterFolder.open(Objects.requireNonNull(folder, "folder is null")).config();
  }

  /** Returns the rank of modules for which {@link #rankPattern} has none. */
  public int r() {
    return r;
  }

  /** Returns the numerator of the scale, for modules for which {@link #alphaPattern} has none. */
  public double alpha() {
    return alpha;
  }

  /** Returns the share of a module's input that training leaves out at random. */
  public double dropout() {
    return dropout;
  }

  /** Returns the names or ends of names of the adapted modules, if they are chosen so. */
  public Optional<List<String>> targetModules() {
    return Optional.ofNullable(targetModules);
  }

  /** Returns the regular expression of the adapted modules' names, if they are chosen so. */
  public Optional<String> targetPattern() {
    return Optional.ofNullable(targetPattern);
  }

  /** Returns whether all linear modules but the head are adapted. */
  public boolean isAllLinear() {
    return targetModules == null && targetPattern == null;
  }

  /** Returns the names or ends of names of modules that are not adapted. */
  public List<String> excludeModules() {
    return excludeModules;
  }

  /** Returns the regular expression of names of modules that are not adapted, if there is one. */
  public Optional<String> excludePattern() {
    return Optional.ofNullable(excludePattern);
  }

  /** Returns the indices of the adapted layers; empty: all. */
  public Optional<List<Integer>> layersToTransform() {
    return Optional.ofNullable(layersToTransform);
  }

  /** Returns what stands before the layer's index in names, such as {@code layers}. */
  public List<String> layersPattern() {
    return layersPattern;
  }

  /** Returns ranks by regular expressions of names' ends; the first that fits counts. */
  public Map<String, Integer> rankPattern() {
    return rankPattern;
  }

  /** Returns alphas by regular expressions of names' ends; the first that fits counts. */
  public Map<String, Double> alphaPattern() {
    return alphaPattern;
  }

  /** Returns whether the scale is alpha / sqrt(r) (Kalajdzievski 2023) instead of alpha / r. */
  public boolean useRslora() {
    return useRslora;
  }

  /** Returns how a new adapter begins. */
  public Init init() {
    return init;
  }

  /** Returns the rank of a module. */
  public int rankOf(String module) {
    Objects.requireNonNull(module, "module is null");
    return first(rankPattern, module).orElse(r);
  }

  /** Returns the scale of what is added to a module's product. */
  public double scaleOf(String module) {
    Objects.requireNonNull(module, "module is null");
    double numerator = first(alphaPattern, module).orElse(alpha);
    int rank = rankOf(module);
    return numerator / (useRslora ? Math.sqrt(rank) : rank);
  }

  /** PEFT's get_pattern_key: the pattern fits the name's end, behind a dot or all of it. */
  private static <T> Optional<T> first(Map<String, T> patterns, String module) {
    return patterns.entrySet().stream()
        .filter(entry -> module.matches("(?s)(?:.*\\.)?(?:" + entry.getKey() + ")"))
        .map(Map.Entry::getValue)
        .findFirst();
  }

  /**
   * Returns whether a linear module is adapted, by PEFT's rules: excluded ones are not; a regular
   * expression has to fit the whole name, a name in a list the whole or the end behind a dot.
   *
   * @param module its name in the checkpoint, without {@code .weight}
   */
  public boolean targets(String module) {
    Objects.requireNonNull(module, "module is null");
    if (named(excludeModules).test(module) || fits(excludePattern, module)) {
      return false;
    }
    if (targetPattern != null) {
      return fits(targetPattern, module);
    }
    return (targetModules == null || named(targetModules).test(module)) && isInALayer(module);
  }

  private static boolean fits(@Nullable String pattern, String module) {
    return pattern != null && module.matches(pattern);
  }

  private static Predicate<String> named(List<String> names) {
    return module ->
        names.stream().anyMatch(name -> module.equals(name) || module.endsWith("." + name));
  }

  private boolean isInALayer(String module) {
    if (layersToTransform == null) {
      return true;
    }
    List<String> before = layersPattern.isEmpty() ? List.of("[^.]*") : layersPattern;
    for (String pattern : before) {
      Matcher matcher = Pattern.compile(".*\\." + pattern + "\\.(\\d+)\\..*").matcher(module);
      if (matcher.matches()) {
        return layersToTransform.contains(Integer.parseInt(matcher.group(1)));
      }
    }
    return false;
  }

  /** Collects the options; not thread-safe. */
  public static final class Builder {
    private int r = 8;
    private double alpha = 8;
    private double dropout;
    private @Nullable List<String> targetModules;
    private @Nullable String targetPattern;
    private List<String> excludeModules = List.of();
    private @Nullable String excludePattern;
    private @Nullable List<Integer> layersToTransform;
    private List<String> layersPattern = List.of();
    private Map<String, Integer> rankPattern = Map.of();
    private Map<String, Double> alphaPattern = Map.of();
    private boolean useRslora;
    private Init init = Init.DEFAULT;

    private Builder() {}

    /**
     * Sets the rank; default 8.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder r(int value) {
      r = requireRank("r", value);
      return this;
    }

    /** Sets the numerator of the scale alpha / r; default 8. */
    public Builder alpha(double value) {
      alpha = requireAlpha("alpha", value);
      return this;
    }

    /**
     * Sets the share of a module's input that training leaves out at random; default 0.
     *
     * @throws IllegalArgumentException if it is not in [0, 1)
     */
    public Builder dropout(double value) {
      if (!(value >= 0 && value < 1)) {
        throw new IllegalArgumentException("dropout is " + value + "; it must be in [0, 1)");
      }
      dropout = value;
      return this;
    }

    /**
     * Sets the adapted modules by whole names or by their ends, such as {@code q_proj}; default all
     * linear modules but the head.
     *
     * @throws IllegalArgumentException if there is none
     */
    public Builder targetModules(List<String> names) {
      targetModules = List.copyOf(Objects.requireNonNull(names, "names is null"));
      if (targetModules.isEmpty()) {
        throw new IllegalArgumentException("targetModules is empty; leave it out for all modules");
      }
      targetPattern = null;
      return this;
    }

    /** As {@link #targetModules(List)}. */
    public Builder targetModules(String... names) {
      return targetModules(List.of(Objects.requireNonNull(names, "names is null")));
    }

    /**
     * Sets the adapted modules by a regular expression that fits their whole names.
     *
     * @throws IllegalArgumentException if it is malformed
     */
    public Builder targetPattern(String value) {
      targetPattern = requirePattern("targetPattern", value);
      targetModules = null;
      return this;
    }

    /** Sets modules that are not adapted, by whole names or by their ends; default none. */
    public Builder excludeModules(List<String> names) {
      excludeModules = List.copyOf(Objects.requireNonNull(names, "names is null"));
      return this;
    }

    /** As {@link #excludeModules}, by a regular expression that fits the whole name. */
    public Builder excludePattern(String value) {
      excludePattern = requirePattern("excludePattern", value);
      return this;
    }

    /** Sets the indices of the adapted layers, from 0; default all. */
    public Builder layersToTransform(List<Integer> indices) {
      layersToTransform = List.copyOf(Objects.requireNonNull(indices, "indices is null"));
      return this;
    }

    /** Sets what stands before a layer's index in names, such as {@code layers}; default any. */
    public Builder layersPattern(List<String> names) {
      layersPattern = List.copyOf(Objects.requireNonNull(names, "names is null"));
      layersPattern.forEach(name -> requirePattern("layersPattern", name));
      return this;
    }

    /**
     * Sets other ranks for some modules, by regular expressions of their names' ends.
     *
     * @throws IllegalArgumentException if one is malformed, or a rank is less than 1
     */
    public Builder rankPattern(Map<String, Integer> ranks) {
      rankPattern = new LinkedHashMap<>(Objects.requireNonNull(ranks, "ranks is null"));
      rankPattern.forEach(
          (pattern, rank) ->
              requireRank("rankPattern " + requirePattern("rankPattern", pattern), rank));
      return this;
    }

    /**
     * Sets other alphas for some modules, by regular expressions of their names' ends.
     *
     * @throws IllegalArgumentException if one is malformed
     */
    public Builder alphaPattern(Map<String, Double> alphas) {
      alphaPattern = new LinkedHashMap<>(Objects.requireNonNull(alphas, "alphas is null"));
      alphaPattern.forEach(
          (pattern, value) ->
              requireAlpha("alphaPattern " + requirePattern("alphaPattern", pattern), value));
      return this;
    }

    /** Sets whether the scale is alpha / sqrt(r); default false: alpha / r. */
    public Builder useRslora(boolean value) {
      useRslora = value;
      return this;
    }

    /** Sets how a new adapter begins; default {@link Init#DEFAULT}. */
    public Builder init(Init value) {
      init = Objects.requireNonNull(value, "init is null");
      return this;
    }

    private static int requireRank(String what, int rank) {
      if (rank < 1) {
        throw new IllegalArgumentException(what + " is " + rank + "; a rank must be at least 1");
      }
      return rank;
    }

    private static double requireAlpha(String what, double value) {
      if (!Double.isFinite(value)) {
        throw new IllegalArgumentException(what + " is " + value + "; it must be finite");
      }
      return value;
    }

    private static String requirePattern(String what, String regex) {
      try {
        Pattern.compile(Objects.requireNonNull(regex, () -> what + " is null"));
        return regex;
      } catch (PatternSyntaxException e) {
        throw new IllegalArgumentException(
            what + " '" + regex + "' is no regular expression: " + e.getDescription(), e);
      }
    }

    /** Returns the configuration. */
    public LoraConfig build() {
      return new LoraConfig(this);
    }
  }
}
