package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.model.DecoderDescription;

/** All families, by the {@code model_type} of their {@code config.json}. */
public final class Families {
  // A family is not even loaded before a model of it is.
  private static final Map<String, Supplier<Family>> BY_MODEL_TYPE =
      Map.ofEntries(
          Map.entry("baichuan", Baichuan::new),
          Map.entry("bloom", Bloom::new),
          Map.entry("chatglm", ChatGlm::new),
          Map.entry("cohere", Cohere::new),
          Map.entry("ernie4_5", Ernie45::new),
          Map.entry("falcon", Falcon::new),
          Map.entry("gemma", Gemma::new),
          Map.entry("gemma2", Gemma2::new),
          Map.entry("gemma3_text", Gemma3::new),
          Map.entry("glm", Glm::new),
          Map.entry("glm4", Glm4::new),
          Map.entry("gpt2", Gpt2::new),
          Map.entry("gpt_neox", GptNeoX::new),
          Map.entry("gptj", GptJ::new),
          Map.entry("granite", Granite::new),
          Map.entry("hunyuan_v1_dense", Hunyuan::new),
          Map.entry("internlm2", InternLm2::new),
          Map.entry("llama", Llama::new),
          Map.entry("mistral", Mistral::new),
          Map.entry("mixtral", Mixtral::new),
          Map.entry("opt", Opt::new),
          Map.entry("phi", Phi::new),
          Map.entry("phi3", Phi3::new),
          Map.entry("qwen", Qwen1::new),
          Map.entry("qwen2", Qwen2::new),
          Map.entry("qwen2_moe", Qwen2Moe::new),
          Map.entry("qwen3", Qwen3::new),
          Map.entry("qwen3_moe", Qwen3Moe::new),
          Map.entry("RefinedWeb", Falcon::new),
          Map.entry("RefinedWebModel", Falcon::new),
          Map.entry("smollm3", SmolLm3::new),
          Map.entry("starcoder2", StarCoder2::new));

  private Families() {}

  /**
   * A configuration that a family has read.
   *
   * @param modelType as the file says
   * @param fields the file, with the family's names and defaults
   * @param description what it describes
   */
  public record Described(String modelType, ConfigFields fields, DecoderDescription description) {}

  /** Returns the model types that are known, in order of the alphabet. */
  public static List<String> modelTypes() {
    return List.copyOf(new TreeMap<>(BY_MODEL_TYPE).keySet());
  }

  /**
   * Returns the family of a model type.
   *
   * @param source what messages call the file
   * @throws UnsupportedModelException if it is not known
   */
  public static Family of(String modelType, String source) {
    Supplier<Family> family = BY_MODEL_TYPE.get(modelType);
    if (family == null) {
      throw new UnsupportedModelException(
          source
              + ": model_type "
              + modelType
              + " is not supported; supported: "
              + String.join(", ", modelTypes()));
    }
    return family.get();
  }

  /**
   * Describes the model of a {@code config.json}.
   *
   * @param source what messages call the file
   * @throws CheckpointException if it is malformed or contradicts itself
   * @throws UnsupportedModelException if it is of a kind that is not supported
   */
  public static Described describe(JsonNode document, String source) {
    JsonNode type = document.get("model_type");
    if (type == null || !type.isTextual()) {
      throw new CheckpointException(
          source + " has no model_type; it must be one of " + String.join(", ", modelTypes()));
    }
    String modelType = type.textValue();
    Family family = of(modelType, source).among(document);
    ConfigFields fields = new ConfigFields(document, source, family.profile());
    return new Described(modelType, fields, family.describe(fields));
  }
}
