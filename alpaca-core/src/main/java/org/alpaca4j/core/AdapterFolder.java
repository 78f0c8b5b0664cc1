package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;

/**
 * An adapter's folder as PEFT 0.21 writes and reads it: {@value #CONFIG} and {@code
 * adapter_model.safetensors} (or {@code .bin}).
 *
 * @param folder where it is
 * @param config its options
 * @param base folder or name of the model that it was trained on, as the file says; null if it does
 *     not
 */
record AdapterFolder(Path folder, LoraConfig config, @Nullable String base) {
  static final String CONFIG = "adapter_config.json";
  static final String WEIGHTS = "adapter_model";

  /** What is not supported yet, with the value beside null, false and empty that means "off". */
  private static final Map<String, String> UNSUPPORTED =
      Map.ofEntries(
          Map.entry("alora_invocation_tokens", ""),
          Map.entry("arrow_config", ""),
          Map.entry("bias", "none"),
          Map.entry("kasa_config", ""),
          Map.entry("layer_replication", ""),
          Map.entry("lora_bias", ""),
          Map.entry("modules_to_save", ""),
          Map.entry("monteclora_config", ""),
          Map.entry("target_parameters", ""),
          Map.entry("trainable_token_indices", ""),
          Map.entry("use_bdlora", ""),
          Map.entry("use_dora", ""),
          Map.entry("use_qalora", ""),
          Map.entry("velora_config", ""));

  /** Returns whether a folder holds an adapter. */
  static boolean isOne(Path folder) {
    return Files.isRegularFile(folder.resolve(CONFIG));
  }

  /**
   * Reads the configuration.
   *
   * @throws CheckpointException if there is none, or it is malformed
   * @throws UnsupportedModelException if it is no LoRA, or one with options that are not supported
   */
  static AdapterFolder open(Path folder) {
    Path file = folder.resolve(CONFIG);
    try {
      return new Reader(file, JsonTree.parse(Files.readAllBytes(file))).read(folder);
    } catch (JsonProcessingException e) {
      throw new CheckpointException(file + ": " + JsonProblem.describe(e), e);
    } catch (IOException e) {
      throw new CheckpointException(file + " cannot be read: " + e, e);
    }
  }

  /** Opens the weights. */
  Checkpoint weights() {
    Path safetensors = folder.resolve(WEIGHTS + ".safetensors");
    Path bin = folder.resolve(WEIGHTS + ".bin");
    if (Files.exists(safetensors) || !Files.exists(bin)) {
      return Checkpoint.open(safetensors);
    }
    return Checkpoint.open(bin);
  }

  /** Finds the model that the adapter was trained on: a path as it stands, else a name. */
  Path baseFolder() {
    if (base == null || base.isEmpty()) {
      throw new CheckpointException(
          folder.resolve(CONFIG)
              + " does not say which model it belongs to (base_model_name_or_path); load that"
              + " model, and then withAdapter(folder)");
    }
    try {
      Path beside = folder.resolve(base);
      if (!Files.exists(Path.of(base)) && Files.exists(beside)) {
        return beside;
      }
      return ModelHub.resolve(base);
    } catch (IllegalArgumentException e) { // InvalidPathException, too
      throw new CheckpointException(
          folder.resolve(CONFIG)
              + ": base_model_name_or_path is '"
              + base
              + "', which is neither a folder here nor a name on the hub; load the model that the"
              + " adapter was trained on, and then withAdapter(folder)",
          e);
    }
  }

  /**
   * Returns the text of {@value #CONFIG}.
   *
   * @param modules ends of the adapted modules' names, for a configuration that takes all
   */
  static String json(LoraConfig config, Set<String> modules, String base) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.putNull("auto_mapping");
    root.put("base_model_name_or_path", base);
    root.put("bias", "none");
    root.set("exclude_modules", namesOrPattern(config.excludeModules(), config.excludePattern()));
    root.put("fan_in_fan_out", false);
    root.put("inference_mode", true);
    if (config.init() == LoraConfig.Init.GAUSSIAN) {
      root.put("init_lora_weights", "gaussian");
    } else {
      root.put("init_lora_weights", true);
    }
    if (config.layersPattern().isEmpty()) {
      root.putNull("layers_pattern");
    } else {
      config.layersPattern().forEach(root.putArray("layers_pattern")::add);
    }
    if (config.layersToTransform().isPresent()) {
      config.layersToTransform().get().forEach(root.putArray("layers_to_transform")::add);
    } else {
      root.putNull("layers_to_transform");
    }
    root.set("lora_alpha", number(config.alpha()));
    root.put("lora_dropout", config.dropout());
    root.putNull("modules_to_save");
    root.put("peft_type", "LORA");
    root.put("r", config.r());
    ObjectNode ranks = root.putObject("rank_pattern");
    config.rankPattern().forEach(ranks::put);
    ObjectNode alphas = root.putObject("alpha_pattern");
    config.alphaPattern().forEach((pattern, alpha) -> alphas.set(pattern, number(alpha)));
    root.putNull("revision");
    List<String> targets = config.targetModules().orElseGet(() -> List.copyOf(modules));
    root.set("target_modules", namesOrPattern(targets, config.targetPattern()));
    root.put("task_type", "CAUSAL_LM");
    root.put("use_dora", false);
    root.put("use_rslora", config.useRslora());
    return root.toPrettyString() + "\n";
  }

  /** Whole numbers without a fraction, as Python's ints. */
  private static JsonNode number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? JsonNodeFactory.instance.numberNode((long) value)
        : JsonNodeFactory.instance.numberNode(value);
  }

  private static JsonNode namesOrPattern(List<String> names, Optional<String> pattern) {
    if (pattern.isPresent()) {
      return JsonNodeFactory.instance.textNode(pattern.get());
    }
    if (names.isEmpty()) {
      return JsonNodeFactory.instance.nullNode();
    }
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    new TreeSet<>(names).forEach(array::add);
    return array;
  }

  /** Reads fields, with errors that name file and field. */
  private record Reader(Path file, JsonNode root) {

    AdapterFolder read(Path folder) {
      if (!root.isObject()) {
        throw new CheckpointException(file + ": expected a JSON object");
      }
      String type = text("peft_type", "");
      if (!type.equals("LORA")) {
        throw new UnsupportedModelException(
            file + ": peft_type is '" + type + "', but only LORA is supported");
      }
      UNSUPPORTED.forEach(this::requireOff);
      LoraConfig.Builder config = LoraConfig.builder();
      try {
        config.r(integer("r", 8)).alpha(number("lora_alpha", 8));
        config.dropout(number("lora_dropout", 0)).useRslora(flag("use_rslora"));
        targets(config);
        names("exclude_modules", config::excludeModules, config::excludePattern);
        list("layers_to_transform", this::wholeNumber, config::layersToTransform);
        list("layers_pattern", this::string, config::layersPattern);
        config.rankPattern(map("rank_pattern", this::wholeNumber));
        config.alphaPattern(map("alpha_pattern", this::anyNumber));
        if (text("init_lora_weights", "").equals("gaussian")) {
          config.init(LoraConfig.Init.GAUSSIAN);
        }
        return new AdapterFolder(
            folder, config.build(), field("base_model_name_or_path").asText(null));
      } catch (IllegalArgumentException e) {
        throw new CheckpointException(file + ": " + e.getMessage(), e);
      }
    }

    private void targets(LoraConfig.Builder config) {
      JsonNode value = field("target_modules");
      if (value.isMissingNode() || value.isNull()) {
        throw new CheckpointException(file + ": target_modules is missing");
      }
      if (!value.asText().equals("all-linear")) {
        names("target_modules", config::targetModules, config::targetPattern);
      }
    }

    private void requireOff(String name, String off) {
      JsonNode value = field(name);
      boolean empty = value.isContainerNode() && value.isEmpty();
      if (!value.isNull() && !value.isMissingNode() && !empty && value.asBoolean(true)) {
        if (!value.asText().equals(off)) {
          throw new UnsupportedModelException(
              file + ": " + name + " is " + value + ", which is not supported");
        }
      }
    }

    private JsonNode field(String name) {
      return root.path(name);
    }

    private CheckpointException bad(String name, String expected) {
      return new CheckpointException(
          file + ": " + name + " is " + field(name) + ", but must be " + expected);
    }

    private String text(String name, String missing) {
      return field(name).isTextual() ? field(name).asText() : missing;
    }

    private boolean flag(String name) {
      return field(name).asBoolean(false);
    }

    private int integer(String name, int missing) {
      JsonNode value = field(name);
      if (value.isMissingNode()) {
        return missing;
      }
      if (!value.isInt()) {
        throw bad(name, "a whole number");
      }
      return value.asInt();
    }

    private double number(String name, double missing) {
      JsonNode value = field(name);
      if (value.isMissingNode() || value.isNull()) {
        return missing;
      }
      if (!value.isNumber()) {
        throw bad(name, "a number");
      }
      return value.asDouble();
    }

    private int wholeNumber(String name, JsonNode value) {
      if (!value.isInt()) {
        throw bad(name, "of whole numbers");
      }
      return value.asInt();
    }

    private double anyNumber(String name, JsonNode value) {
      if (!value.isNumber()) {
        throw bad(name, "of numbers");
      }
      return value.asDouble();
    }

    private String string(String name, JsonNode value) {
      if (!value.isTextual()) {
        throw bad(name, "of texts");
      }
      return value.asText();
    }

    private void names(String name, Consumer<List<String>> names, Consumer<String> pattern) {
      JsonNode value = field(name);
      if (value.isTextual()) {
        pattern.accept(value.asText());
      } else {
        list(name, this::string, names);
      }
    }

    private interface Element<T> {
      T of(String name, JsonNode value);
    }

    /** A list, or one element without brackets. */
    private <T> void list(String name, Element<T> element, Consumer<List<T>> option) {
      JsonNode value = field(name);
      if (value.isMissingNode() || value.isNull()) {
        return;
      }
      List<T> elements = new ArrayList<>();
      if (value.isArray()) {
        value.forEach(each -> elements.add(element.of(name, each)));
      } else {
        elements.add(element.of(name, value));
      }
      option.accept(elements);
    }

    private <T> Map<String, T> map(String name, Element<T> element) {
      Map<String, T> map = new LinkedHashMap<>();
      field(name).properties().forEach(e -> map.put(e.getKey(), element.of(name, e.getValue())));
      return map;
    }
  }
}
