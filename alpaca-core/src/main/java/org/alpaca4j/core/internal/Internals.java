package org.alpaca4j.core.internal;

import java.util.Objects;
import java.util.Optional;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.family.Profile;
import org.alpaca4j.core.internal.family.Quantization;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.LoraAdapter;
import org.alpaca4j.core.internal.model.ModelUse;
import org.jspecify.annotations.Nullable;

/**
 * What public types show to the library's own modules and not to users. A type registers its access
 * when it is initialised, so that it is there as soon as there is an object to ask.
 */
public final class Internals {
  private static @Nullable ModelConfigAccess modelConfigAccess;

  private static @Nullable CausalLmAccess causalLmAccess;

  private Internals() {}

  /** What a configuration shows. */
  public interface ModelConfigAccess {
    /** See {@link Internals#description}. */
    DecoderDescription description(ModelConfig config);

    /** See {@link Internals#profile}. */
    Profile profile(ModelConfig config);

    /** See {@link Internals#quantization}. */
    @Nullable Quantization quantization(ModelConfig config);
  }

  /** What a model shows. */
  public interface CausalLmAccess {
    /** See {@link Internals#loaded}. */
    LoadedModel loaded(CausalLm model);

    /** See {@link Internals#use}. */
    ModelUse use(CausalLm model);

    /** See {@link Internals#adapter}. */
    Optional<LoraAdapter> adapter(CausalLm model);

    /** See {@link Internals#attach}. */
    void attach(CausalLm model, LoraConfig config, long seed);
  }

  /** Called by the model's class. */
  public static void register(CausalLmAccess access) {
    causalLmAccess = access;
  }

  /**
   * Returns a model's weights and what computes with them.
   *
   * @throws IllegalStateException if the model is closed
   */
  public static LoadedModel loaded(CausalLm model) {
    return causalLm().loaded(model);
  }

  /** Returns what keeps those apart who use a model's weights. */
  public static ModelUse use(CausalLm model) {
    return causalLm().use(model);
  }

  private static CausalLmAccess causalLm() {
    return Objects.requireNonNull(causalLmAccess, "CausalLm is initialised");
  }

  /** Returns the adapter that a model computes with. */
  public static Optional<LoraAdapter> adapter(CausalLm model) {
    return causalLm().adapter(model);
  }

  /**
   * Gives a model a new adapter, in place of one that it has; by who has it for training.
   *
   * @throws IllegalArgumentException if a name or pattern of the configuration fits no module
   */
  public static void attach(CausalLm model, LoraConfig config, long seed) {
    causalLm().attach(model, config, seed);
  }

  /** Called by the configuration's class. */
  public static void register(ModelConfigAccess access) {
    modelConfigAccess = access;
  }

  private static ModelConfigAccess modelConfig() {
    return Objects.requireNonNull(modelConfigAccess, "ModelConfig is initialised");
  }

  /** Returns the decoder that a configuration describes. */
  public static DecoderDescription description(ModelConfig config) {
    return modelConfig().description(config);
  }

  /** Returns how the configuration's family spells its files. */
  public static Profile profile(ModelConfig config) {
    return modelConfig().profile(config);
  }

  /** Returns how the folder's weights are quantised, or null. */
  public static @Nullable Quantization quantization(ModelConfig config) {
    return modelConfig().quantization(config);
  }

  /**
   * Refuses a configuration whose weights cannot be read.
   *
   * @throws UnsupportedModelException if they are quantised; the message names how
   */
  public static void requireLoadable(ModelConfig config) {
    Quantization quantization = quantization(config);
    if (quantization != null) {
      throw new UnsupportedModelException(
          "quantization_config "
              + quantization.method()
              + " is not supported; supported: none: take the model's unquantised weights");
    }
  }
}
