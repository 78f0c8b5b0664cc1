package org.alpaca4j.core.internal.family;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.jspecify.annotations.Nullable;

/** All families, by the {@code model_type} of their {@code config.json}. */
public final class Families {
  private static final String MODEL_TYPES =
      "baichuan, bloom, chatglm, cohere, ernie4_5, falcon, gemma, gemma2, gemma3_text, "
          + "glm, glm4, gpt2, gpt_neox, gptj, granite, hunyuan_v1_dense, internlm2, llama, "
          + "mistral, mixtral, olmo2, opt, phi, phi3, qwen, qwen2, qwen2_moe, qwen3, qwen3_moe, "
          + "RefinedWeb, RefinedWebModel, smollm3, starcoder2";

  private Families() {}

  /**
   * A configuration that a family has read.
   *
   * @param modelType as the file says
   * @param fields the file, with the family's names and defaults
   * @param description what it describes
   */
  public record Described(String modelType, ConfigFields fields, DecoderDescription description) {}

  /** Returns the family of a model type, one a line; no other one's class is loaded. */
  private static @Nullable Family find(String modelType) {
    return switch (modelType) {
      case "baichuan" -> new Baichuan();
      case "bloom" -> new Bloom();
      case "chatglm" -> new ChatGlm();
      case "cohere" -> new Cohere();
      case "ernie4_5" -> new Ernie45();
      case "falcon", "RefinedWeb", "RefinedWebModel" -> new Falcon();
      case "gemma" -> new Gemma();
      case "gemma2" -> new Gemma2();
      case "gemma3_text" -> new Gemma3();
      case "glm" -> new Glm();
      case "glm4" -> new Glm4();
      case "gpt2" -> new Gpt2();
      case "gpt_neox" -> new GptNeoX();
      case "gptj" -> new GptJ();
      case "granite" -> new Granite();
      case "hunyuan_v1_dense" -> new Hunyuan();
      case "internlm2" -> new InternLm2();
      case "llama" -> new Llama();
      case "mistral" -> new Mistral();
      case "mixtral" -> new Mixtral();
      case "olmo2" -> new Olmo2();
      case "opt" -> new Opt();
      case "phi" -> new Phi();
      case "phi3" -> new Phi3();
      case "qwen" -> new Qwen1();
      case "qwen2" -> new Qwen2();
      case "qwen2_moe" -> new Qwen2Moe();
      case "qwen3" -> new Qwen3();
      case "qwen3_moe" -> new Qwen3Moe();
      case "smollm3" -> new SmolLm3();
      case "starcoder2" -> new StarCoder2();
      default -> null;
    };
  }

  /** Returns the model types that are known, in order of the alphabet. */
  public static List<String> modelTypes() {
    return List.of(MODEL_TYPES.split(", "));
  }

  /**
   * Returns the family of a model type.
   *
   * @param source what messages call the file
   * @throws UnsupportedModelException if it is not known
   */
  public static Family of(String modelType, String source) {
    Family family = find(modelType);
    if (family == null) {
      throw new UnsupportedModelException(
          source + ": model_type " + modelType + " is not supported; supported: " + MODEL_TYPES);
    }
    return family;
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
          source + " has no model_type; it must be one of " + MODEL_TYPES);
    }
    String modelType = type.textValue();
    Family family = of(modelType, source).among(document);
    ConfigFields fields = new ConfigFields(document, source, family.profile());
    return new Described(modelType, fields, family.describe(fields));
  }
}
