package org.alpaca4j.data;

import java.util.function.BooleanSupplier;
import java.util.function.Function;

/**
 * Makes examples of conversations, of which those that are too long may lose early turns.
 *
 * @param examples makes one, of any length
 * @param asked see {@link #withoutThinking}
 */
record ConversationMaker(
    Function<Conversation, SupervisedExample> examples,
    BooleanSupplier asked,
    boolean dropsTurns,
    int maxLength)
    implements ExampleMaker<Conversation> {

  static ConversationMaker of(
      Function<Conversation, SupervisedExample> examples,
      BooleanSupplier asked,
      DatasetAssembler.Options options) {
    boolean dropsTurns = options.onTooLong() == SupervisedDataset.OnTooLong.DROP_TURNS;
    return new ConversationMaker(examples, asked, dropsTurns, options.maxLength());
  }

  @Override
  public Made make(Conversation conversation) {
    return dropsTurns
        ? Truncation.withoutOldTurns(conversation, examples, maxLength)
        : Made.whole(examples.apply(conversation));
  }

  @Override
  public boolean withoutThinking() {
    return asked.getAsBoolean();
  }
}
