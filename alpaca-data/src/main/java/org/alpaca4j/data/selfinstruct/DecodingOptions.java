package org.alpaca4j.data.selfinstruct;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * How a model continues a prompt. The defaults are Stanford Alpaca's. Immutable and thread-safe.
 */
public final class DecodingOptions {
  private final double temperature;
  private final double topP;
  private final int maxTokens;
  private final List<String> stop;
  private final Map<Integer, Integer> logitBias;

  private DecodingOptions(Builder builder) {
    temperature = builder.temperature;
    topP = builder.topP;
    maxTokens = builder.maxTokens;
    stop = builder.stop;
    logitBias = builder.logitBias;
  }

  /** Returns the defaults. */
  public static DecodingOptions ofDefaults() {
    return builder().build();
  }

  /** Returns a builder with the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns a builder with these values. */
  public Builder toBuilder() {
    return new Builder()
        .temperature(temperature)
        .topP(topP)
        .maxTokens(maxTokens)
        .stop(stop)
        .logitBias(logitBias);
  }

  /** Returns the temperature of sampling; default 1; 0 takes the best token. */
  public double temperature() {
    return temperature;
  }

  /** Returns the probability that the tokens to draw from reach together; default 1. */
  public double topP() {
    return topP;
  }

  /** Returns the largest number of new tokens; default 3072. */
  public int maxTokens() {
    return maxTokens;
  }

  /**
   * Returns the texts that end a reply; default {@code "\n20", "20.", "20."}, the original's, with
   * its repetition.
   */
  public List<String> stop() {
    return stop;
  }

  /**
   * Returns what is added to the scores of tokens; default −100 for token 50256, the original's:
   * the end of text of GPT-3's vocabulary never comes. Servers with other vocabularies may want it
   * empty.
   */
  public Map<Integer, Integer> logitBias() {
    return logitBias;
  }

  /** Values to be checked and put together by {@link #build}. Not thread-safe. */
  public static final class Builder {
    private double temperature = 1;
    private double topP = 1;
    private int maxTokens = 3072;
    private List<String> stop = List.of("\n20", "20.", "20.");
    private Map<Integer, Integer> logitBias = Map.of(50256, -100);

    private Builder() {}

    /** Sets {@link DecodingOptions#temperature}: 0 or more. */
    public Builder temperature(double value) {
      temperature = value;
      return this;
    }

    /** Sets {@link DecodingOptions#topP}: above 0, at most 1. */
    public Builder topP(double value) {
      topP = value;
      return this;
    }

    /** Sets {@link DecodingOptions#maxTokens}: at least 1. */
    public Builder maxTokens(int value) {
      maxTokens = value;
      return this;
    }

    /** Sets {@link DecodingOptions#stop}: no empty text. */
    public Builder stop(List<String> value) {
      Objects.requireNonNull(value, "stop is null");
      stop = List.copyOf(value);
      return this;
    }

    /** Sets {@link DecodingOptions#logitBias}: token ids and values from −100 to 100. */
    public Builder logitBias(Map<Integer, Integer> value) {
      Objects.requireNonNull(value, "logitBias is null");
      logitBias = Collections.unmodifiableMap(new LinkedHashMap<>(value));
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws IllegalArgumentException if a value is out of its range
     */
    public DecodingOptions build() {
      check(temperature >= 0 && temperature < Double.POSITIVE_INFINITY, "temperature", temperature);
      check(topP > 0 && topP <= 1, "topP", topP);
      check(maxTokens >= 1, "maxTokens", maxTokens);
      check(stop.stream().noneMatch(String::isEmpty), "stop", stop);
      check(
          logitBias.values().stream().allMatch(bias -> bias >= -100 && bias <= 100),
          "logitBias",
          logitBias);
      return new DecodingOptions(this);
    }

    private static void check(boolean inRange, String name, Object value) {
      if (!inRange) {
        throw new IllegalArgumentException(
            name + " = " + value + " is out of range; see DecodingOptions.Builder." + name);
      }
    }
  }
}
