package org.alpaca4j.data.selfinstruct;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Set;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.internal.RetryAfter;
import org.jspecify.annotations.Nullable;

/** Requests and answers of OpenAI's protocol. The key appears in one header, never in a text. */
final class OpenAiProtocol {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Set<Integer> PASSING = Set.of(408, 409, 425, 429, 500, 502, 503, 504, 529);
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(10);
  private static final int MOST_OF_A_BODY = 300;

  private final URI endpoint;
  private final String model;
  private final OpenAiModel.Api api;
  private final @Nullable String key;

  OpenAiProtocol(URI baseUrl, String model, OpenAiModel.Api api, @Nullable String key) {
    String base = baseUrl.toString();
    String path = api == OpenAiModel.Api.CHAT ? "chat/completions" : "completions";
    endpoint = URI.create(base + (base.endsWith("/") ? "" : "/") + path);
    this.model = model;
    this.api = api;
    this.key = key;
  }

  /** An answer that is none. */
  @SuppressWarnings("serial") // never serialised
  static final class Failure extends AlpacaException {
    private final boolean passes;
    private final boolean tooLong;
    private final @Nullable Duration retryAfter;

    private Failure(
        String message, boolean passes, boolean tooLong, @Nullable Duration retryAfter) {
      super(message);
      this.passes = passes;
      this.tooLong = tooLong;
      this.retryAfter = retryAfter;
    }

    /** Returns whether another attempt may succeed. */
    boolean passes() {
      return passes;
    }

    /** Returns whether prompt and new tokens are too many together. */
    boolean isTooLong() {
      return tooLong;
    }

    /** Returns how long the server wants us to wait, if it says so. */
    @Nullable Duration retryAfter() {
      return retryAfter;
    }
  }

  String name() {
    return model + " at " + endpoint;
  }

  HttpRequest request(ModelRequest request, int maxTokens) {
    ObjectNode body = JSON.createObjectNode();
    body.put("model", model);
    if (api == OpenAiModel.Api.CHAT) {
      body.putArray("messages").addObject().put("role", "user").put("content", request.prompt());
    } else {
      body.put("prompt", request.prompt());
    }
    DecodingOptions decoding = request.decoding();
    body.put("temperature", decoding.temperature());
    body.put("top_p", decoding.topP());
    body.put("n", 1);
    body.put("max_tokens", maxTokens);
    if (!decoding.stop().isEmpty()) {
      decoding.stop().forEach(body.putArray("stop")::add);
    }
    if (!decoding.logitBias().isEmpty()) {
      ObjectNode bias = body.putObject("logit_bias");
      decoding.logitBias().forEach((id, value) -> bias.put(id.toString(), value));
    }
    HttpRequest.Builder result =
        HttpRequest.newBuilder(endpoint)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body.toString()));
    if (key != null) {
      result.header("Authorization", "Bearer " + key);
    }
    return result.build();
  }

  /**
   * Returns the reply that an answer holds.
   *
   * @throws Failure if there is none
   */
  ModelReply reply(ModelRequest request, HttpResponse<byte[]> response) {
    if (response.statusCode() != 200) {
      throw failure(response);
    }
    JsonNode body = json(response.body());
    JsonNode choice = body.path("choices").path(0);
    JsonNode text =
        api == OpenAiModel.Api.CHAT ? choice.path("message").path("content") : choice.path("text");
    if (!text.isTextual() && !text.isNull()) { // null: the model refuses
      throw new Failure("answers 200 without a text: " + shown(response.body()), true, false, null);
    }
    JsonNode reason = choice.path("finish_reason");
    JsonNode usage = body.path("usage");
    return new ModelReply(
        request.number(),
        text.isNull() ? "" : withoutOpening(text.textValue(), request.prompt()),
        reason.isTextual() ? reason.textValue() : null,
        new TokenUsage(
            usage.path("prompt_tokens").asLong(), usage.path("completion_tokens").asLong()));
  }

  /** Chat models often repeat the line that they were to go on with ("4. Instruction:"). */
  private String withoutOpening(String text, String prompt) {
    String opening = prompt.substring(prompt.lastIndexOf('\n') + 1);
    String stripped = text.stripLeading();
    return api == OpenAiModel.Api.CHAT && !opening.isEmpty() && stripped.startsWith(opening)
        ? stripped.substring(opening.length())
        : text;
  }

  private Failure failure(HttpResponse<byte[]> response) {
    int status = response.statusCode();
    JsonNode error = json(response.body()).path("error");
    String code = error.path("code").asText("");
    String said = error.path("message").asText("").toLowerCase(Locale.ROOT);
    boolean tooLong =
        (status == 400 || status == 413 || status == 422)
            && (code.equals("context_length_exceeded")
                || said.contains("please reduce your prompt")
                || said.contains("please reduce the length")
                || said.contains("maximum context length"));
    Duration wait = RetryAfter.of(response.headers(), Instant.now()).orElse(null);
    boolean tooPatient = wait != null && wait.compareTo(LONGEST_WAIT) > 0;
    boolean passes = PASSING.contains(status) && !code.equals("insufficient_quota") && !tooPatient;
    String asked =
        tooPatient ? " and asks to wait longer than " + LONGEST_WAIT.toMinutes() + " minutes" : "";
    return new Failure(
        "answers " + status + asked + ": " + shown(response.body()), passes, tooLong, wait);
  }

  private static JsonNode json(byte[] body) {
    try {
      return JSON.readTree(body);
    } catch (IOException e) {
      return JSON.missingNode();
    }
  }

  /** Returns the beginning of a body. Servers repeat the key they refuse: not here. */
  private String shown(byte[] body) {
    String text = new String(body, StandardCharsets.UTF_8);
    String safe = key == null ? text : text.replace(key, "(the API key)");
    String line = PythonText.collapse(safe);
    return line.length() > MOST_OF_A_BODY ? line.substring(0, MOST_OF_A_BODY) + "…" : line;
  }
}
