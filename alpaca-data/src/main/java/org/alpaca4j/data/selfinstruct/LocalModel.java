package org.alpaca4j.data.selfinstruct;

import com.google.common.primitives.Ints;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.FinishReason;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.GenerationResult;
import org.alpaca4j.core.Tokenizer;

/**
 * A model in this process, which continues all prompts of a round as one batch.
 *
 * <p>Token ids of {@link DecodingOptions#logitBias} belong to OpenAI's vocabulary and have no
 * effect here; what the original meant by them, that a reply does not end before its stop sequence,
 * is {@link Builder#endOfText}. Thread-safe as far as its model is.
 */
public final class LocalModel implements InstructionModel {
  private final CausalLm model;
  private final long seed;
  private final boolean endOfText;

  private LocalModel(Builder builder) {
    model = builder.model;
    seed = builder.seed;
    endOfText = builder.endOfText;
  }

  /** Returns a model with the default options. */
  public static LocalModel of(CausalLm model) {
    Objects.requireNonNull(model, "model is null");
    return builder(model).build();
  }

  /**
   * Returns a builder.
   *
   * @param model stays the caller's, who closes it
   */
  public static Builder builder(CausalLm model) {
    Objects.requireNonNull(model, "model is null");
    return new Builder(model);
  }

  /** Options of a {@link LocalModel}. Not thread-safe. */
  public static final class Builder {
    private final CausalLm model;
    private long seed = 42;
    private boolean endOfText;

    private Builder(CausalLm model) {
      this.model = model;
    }

    /** Sets the seed of sampling, to which the request's number is added; default 42. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /** Sets whether the model may end a reply by its end-of-text token; default false. */
    public Builder endOfText(boolean value) {
      endOfText = value;
      return this;
    }

    /** Returns the model. */
    public LocalModel build() {
      return new LocalModel(this);
    }
  }

  @Override
  public String name() {
    return model.folder().toString();
  }

  @Override
  public void complete(List<ModelRequest> requests, Consumer<ModelReply> replies) {
    Objects.requireNonNull(requests, "requests is null");
    Objects.requireNonNull(replies, "replies is null");
    if (requests.isEmpty()) {
      return;
    }
    List<int[]> prompts = new ArrayList<>();
    int room = model.config().maxPositionEmbeddings();
    for (ModelRequest request : requests) {
      int[] ids = promptIds(model.tokenizer(), request.prompt());
      room = Math.min(room, model.config().maxPositionEmbeddings() - ids.length);
      if (room < 1) {
        throw new InstructionModelException(
            name()
                + ": the prompt of request "
                + request.number()
                + " has "
                + ids.length
                + " tokens, but the model takes "
                + model.config().maxPositionEmbeddings()
                + " with the reply; show fewer seed tasks");
      }
      prompts.add(ids);
    }
    List<GenerationResult> results =
        model.generator().generate(prompts, config(requests.get(0), room));
    for (int i = 0; i < results.size(); i++) {
      GenerationResult result = results.get(i);
      replies.accept(
          new ModelReply(
              requests.get(i).number(),
              result.text(),
              result.finishReason() == FinishReason.LENGTH ? "length" : "stop",
              new TokenUsage(prompts.get(i).length, result.ids().length)));
    }
  }

  /** What seed tasks quote is text, even where it is that of a special token. */
  static int[] promptIds(Tokenizer tokenizer, String prompt) {
    return Ints.concat(
        tokenizer.prefixIds(), tokenizer.encodePromptIds(tokenizer.withoutSpecialTokens(prompt)));
  }

  private GenerationConfig config(ModelRequest first, int room) {
    DecodingOptions decoding = first.decoding();
    int maxNewTokens = Math.min(decoding.maxTokens(), room);
    GenerationConfig.Builder config =
        GenerationConfig.builder()
            .maxNewTokens(maxNewTokens)
            .doSample(decoding.temperature() > 0)
            .topK(0)
            .topP(decoding.topP())
            .stopStrings(List.copyOf(new LinkedHashSet<>(decoding.stop())))
            .seed(seed + first.number());
    if (decoding.temperature() > 0) {
      config.temperature(decoding.temperature());
    }
    if (!endOfText) {
      config.minNewTokens(maxNewTokens);
    }
    return config.build();
  }
}
