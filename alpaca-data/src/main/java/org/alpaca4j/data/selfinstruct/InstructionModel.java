package org.alpaca4j.data.selfinstruct;

import java.util.List;
import java.util.function.Consumer;

/**
 * What writes the new tasks. {@link OpenAiModel} asks a server, {@link LocalModel} a model in this
 * process.
 */
public interface InstructionModel {
  /** Returns the model's name, for messages and reports. */
  String name();

  /**
   * Answers requests.
   *
   * @param requests in any number; their prompts may be answered side by side
   * @param replies to be told of each reply, in any order, as soon as it is there: it is then saved
   *     and never asked for again. May be called by any thread
   * @throws InstructionModelException if a request fails for good; replies told of before count
   */
  void complete(List<ModelRequest> requests, Consumer<ModelReply> replies);
}
