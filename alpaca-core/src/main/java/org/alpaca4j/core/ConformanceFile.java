package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;

/**
 * What a conformance file says; {@code docs/conformance.md} explains it field by field.
 *
 * @param weights how the weights were stored that the numbers are of
 * @param convertedTo what weights beside the file may have been converted to since
 * @param computedIn the dtype that layers computed in
 * @param promptForm {@code chat_template}, {@code prompt_template} or {@code none}
 * @param renderedAt the time that templates could print
 */
record ConformanceFile(
    StoredWeights weights,
    StoredWeights convertedTo,
    String computedIn,
    int vocabSize,
    String promptForm,
    OffsetDateTime renderedAt,
    List<Entry> prompts) {
  private static final String FORMAT = "alpaca4j_conformance";
  private static final int VERSION = 1;

  /**
   * One prompt with the model's greedy answer.
   *
   * @param text null where the prompt is made of token ids
   * @param top the most likely first tokens, best first, with their log-probabilities
   */
  record Entry(
      Conformance.Prompt prompt,
      @Nullable String text,
      int[] ids,
      int[] greedyIds,
      double[] logProbabilities,
      double[] margins,
      Map<Integer, Double> top) {

    /**
     * Makes one of what a model thinks of its answer.
     *
     * @param topTokens how many of the most likely first tokens are kept
     */
    static Entry of(
        Conformance.Prompt prompt,
        @Nullable String text,
        int[] ids,
        int[] greedyIds,
        Fingerprint fingerprint,
        int topTokens) {
      double[] logProbabilities = new double[greedyIds.length];
      double[] margins = new double[greedyIds.length];
      for (int i = 0; i < greedyIds.length; i++) {
        Fingerprint.Step step = fingerprint.steps().get(i);
        logProbabilities[i] = rounded(step.logProbabilities()[greedyIds[i]]);
        margins[i] = rounded(step.margin(greedyIds[i]));
      }
      Fingerprint.Step first = fingerprint.steps().get(0);
      Map<Integer, Double> top = new LinkedHashMap<>();
      for (int id : first.top(topTokens)) {
        top.put(id, rounded(first.logProbabilities()[id]));
      }
      return new Entry(prompt, text, ids, greedyIds, logProbabilities, margins, top);
    }

    /** To a millionth, which is below what arithmetic of 32 bits agrees on. */
    private static double rounded(double value) {
      return Math.rint(value * 1e6) / 1e6;
    }
  }

  /** Returns the file for its weights converted once more. */
  ConformanceFile convertedTo(StoredWeights stored) {
    return new ConformanceFile(
        weights,
        convertedTo.coarser(stored),
        computedIn,
        vocabSize,
        promptForm,
        renderedAt,
        prompts);
  }

  /** Returns the file's text. */
  String toJson() {
    Map<String, @Nullable Object> root = new LinkedHashMap<>();
    root.put("format", FORMAT);
    root.put("version", VERSION);
    root.put("made_with", madeWith());
    root.put("weights", weights.text());
    if (convertedTo != weights) {
      root.put("converted_to", convertedTo.text());
    }
    root.put("computed_in", computedIn);
    root.put("vocab_size", vocabSize);
    root.put("prompt_form", promptForm);
    root.put("rendered_at", renderedAt.toString());
    root.put("prompts", prompts.stream().map(ConformanceFile::json).toList());
    try {
      return JsonTree.writer().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
    } catch (JsonProcessingException e) {
      throw new AlpacaException("cannot write the conformance file: " + e.getMessage(), e);
    }
  }

  private static Map<String, String> madeWith() {
    Map<String, String> made = new LinkedHashMap<>();
    String version = ConformanceFile.class.getPackage().getImplementationVersion();
    made.put("alpaca4j", version == null ? "unreleased" : version);
    made.put("java", System.getProperty("java.version"));
    made.put("os", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    return made;
  }

  private static Map<String, @Nullable Object> json(Entry entry) {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    Conformance.Prompt prompt = entry.prompt;
    if (entry.text != null) {
      fields.put("messages", prompt.messages().stream().map(ChatMessage::toMap).toList());
      if (!prompt.tools().isEmpty()) {
        fields.put("tools", prompt.tools());
      }
      if (!prompt.input().isEmpty()) {
        fields.put("input", prompt.input());
      }
      fields.put("text", entry.text);
    }
    fields.put("ids", entry.ids);
    fields.put("greedy_ids", entry.greedyIds);
    fields.put("logprobs", entry.logProbabilities);
    fields.put("margins", entry.margins);
    List<Map<String, Object>> top = new ArrayList<>();
    entry.top.forEach((id, logprob) -> top.add(Map.of("id", id, "logprob", logprob)));
    fields.put("top_logprobs", top);
    return fields;
  }

  /**
   * Reads the file of a folder.
   *
   * @throws CheckpointException if there is none, or it is malformed or of a later version
   */
  static ConformanceFile load(Path folder) {
    Path file = folder.resolve(Conformance.FILE_NAME);
    if (!Files.isRegularFile(file)) {
      throw new CheckpointException(
          folder
              + " has no "
              + Conformance.FILE_NAME
              + ", so there is nothing to verify it against; a training with this library writes"
              + " one, and Conformance.make makes one of a model that is known to be right");
    }
    try {
      return parse(Files.readString(file), file.toString());
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @param source what messages call the text
   */
  static ConformanceFile parse(String json, String source) {
    try {
      return new Reader(source).file(JsonTree.parse(json));
    } catch (JsonProcessingException e) {
      throw new CheckpointException(source + ": not JSON: " + JsonProblem.describeWithPlace(e), e);
    }
  }

  /** Reads fields, and names those that are not as they should be. */
  private record Reader(String source) {

    ConformanceFile file(JsonNode root) {
      if (!root.path("format").asText().equals(FORMAT)) {
        throw new CheckpointException(source + ": is no conformance file: format is not " + FORMAT);
      }
      int version = field(root, "", "version", JsonNode::isInt, "an integer").intValue();
      if (version > VERSION) {
        throw new CheckpointException(
            source
                + ": is of version "
                + version
                + "; this release reads versions to "
                + VERSION
                + ": verify with a later release of the library");
      }
      StoredWeights weights = weights(root, "weights");
      List<Entry> entries = new ArrayList<>();
      for (JsonNode prompt : field(root, "", "prompts", JsonNode::isArray, "an array")) {
        entries.add(entry(prompt, "prompts[" + entries.size() + "]."));
      }
      if (entries.isEmpty()) {
        throw wrong("prompts", "at least one prompt", "[]");
      }
      return new ConformanceFile(
          weights,
          root.has("converted_to") ? weights(root, "converted_to").coarser(weights) : weights,
          text(root, "", "computed_in"),
          field(root, "", "vocab_size", JsonNode::isInt, "an integer").intValue(),
          text(root, "", "prompt_form"),
          time(text(root, "", "rendered_at")),
          entries);
    }

    private StoredWeights weights(JsonNode root, String name) {
      String text = text(root, "", name);
      return StoredWeights.of(text)
          .orElseThrow(() -> wrong(name, "one of " + StoredWeights.names(), text));
    }

    private OffsetDateTime time(String text) {
      try {
        return OffsetDateTime.parse(text);
      } catch (DateTimeException e) {
        throw wrong("rendered_at", "a time such as 2026-01-31T12:00:00Z", text);
      }
    }

    private Entry entry(JsonNode prompt, String at) {
      int[] ids = ids(prompt, at, "ids");
      int[] greedyIds = ids(prompt, at, "greedy_ids");
      double[] logProbabilities = numbers(prompt, at, "logprobs", greedyIds.length);
      double[] margins = numbers(prompt, at, "margins", greedyIds.length);
      Map<Integer, Double> top = new LinkedHashMap<>();
      for (JsonNode token : field(prompt, at, "top_logprobs", JsonNode::isArray, "an array")) {
        String inTop = at + "top_logprobs[" + top.size() + "].";
        top.put(
            field(token, inTop, "id", Reader::isId, "a token id").intValue(),
            field(token, inTop, "logprob", JsonNode::isNumber, "a number").doubleValue());
      }
      boolean asked = prompt.has("messages");
      return new Entry(
          asked ? prompt(prompt, at) : Conformance.Prompt.ofIds(ids),
          asked ? text(prompt, at, "text") : null,
          ids,
          greedyIds,
          logProbabilities,
          margins,
          top);
    }

    private Conformance.Prompt prompt(JsonNode prompt, String at) {
      List<ChatMessage> messages = new ArrayList<>();
      for (JsonNode message : field(prompt, at, "messages", JsonNode::isArray, "an array")) {
        if (!message.path("role").isTextual()) {
          throw wrong(
              at + "messages[" + messages.size() + "].role", "a text", message.path("role"));
        }
        messages.add(ChatMessage.ofMap(JsonTree.fields(message)));
      }
      List<Map<String, @Nullable Object>> tools = new ArrayList<>();
      if (prompt.has("tools")) {
        for (JsonNode tool : field(prompt, at, "tools", JsonNode::isArray, "an array")) {
          tools.add(JsonTree.fields(tool));
        }
      }
      String input = prompt.has("input") ? text(prompt, at, "input") : "";
      return new Conformance.Prompt(messages, tools, input, List.of());
    }

    private int[] ids(JsonNode object, String at, String name) {
      JsonNode list = field(object, at, name, JsonNode::isArray, "an array of token ids");
      int[] ids = new int[list.size()];
      for (int i = 0; i < ids.length; i++) {
        if (!isId(list.get(i))) {
          throw wrong(at + name + "[" + i + "]", "a token id", list.get(i));
        }
        ids[i] = list.get(i).intValue();
      }
      if (ids.length == 0) {
        throw wrong(at + name, "at least one token id", list);
      }
      return ids;
    }

    private double[] numbers(JsonNode object, String at, String name, int count) {
      JsonNode list = field(object, at, name, JsonNode::isArray, "an array of numbers");
      double[] numbers = new double[list.size()];
      for (int i = 0; i < numbers.length; i++) {
        if (!list.get(i).isNumber()) {
          throw wrong(at + name + "[" + i + "]", "a number", list.get(i));
        }
        numbers[i] = list.get(i).doubleValue();
      }
      if (numbers.length != count) {
        throw wrong(at + name, count + " numbers, one for each of greedy_ids", list);
      }
      return numbers;
    }

    private String text(JsonNode object, String at, String name) {
      return field(object, at, name, JsonNode::isTextual, "a text").textValue();
    }

    private JsonNode field(
        JsonNode object, String at, String name, Predicate<JsonNode> type, String expected) {
      JsonNode value = object.path(name);
      if (!type.test(value)) {
        throw wrong(at + name, expected, value);
      }
      return value;
    }

    private static boolean isId(JsonNode value) {
      return value.isInt() && value.intValue() >= 0;
    }

    private CheckpointException wrong(String field, String expected, Object found) {
      String shown = String.valueOf(found);
      return new CheckpointException(
          source
              + ": the field \""
              + field
              + "\" must be "
              + expected
              + (shown.isEmpty() ? ", but is missing" : ", but is " + abbreviated(shown))
              + "; take the file from the trained model again");
    }

    private static String abbreviated(String text) {
      return text.length() <= 60 ? text : text.substring(0, 60) + "…";
    }
  }
}
