package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import org.alpaca4j.core.internal.model.DecoderDescription;

/**
 * A family of models: what its {@code config.json} means, and what its checkpoints' tensors are
 * called. An implementation is data; {@link Blueprint} has what families share. Stateless.
 */
public interface Family {
  /** Returns how the family spells its {@code config.json}. */
  Profile profile();

  /**
   * Returns the family of a configuration that has this one's {@code model_type}: another where two
   * share it.
   */
  default Family among(JsonNode config) {
    return this;
  }

  /**
   * Returns the decoder that a configuration describes.
   *
   * @param config the fields, read with {@link #profile}
   * @throws org.alpaca4j.core.CheckpointException if a field is malformed or contradicts another
   * @throws org.alpaca4j.core.UnsupportedModelException if a field asks for what is not supported
   */
  DecoderDescription describe(ConfigFields config);
}
