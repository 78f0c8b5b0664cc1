package org.alpaca4j.data.selfinstruct;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.LongFunction;

/** One run: saved rounds again, then new ones. */
final class SelfInstructRun {
  private final SelfInstruct.Builder options;
  private final InstructionModel model;
  private final LongFunction<String> prompts;
  private final ReplyJournal journal;
  private final RegenFile regen;
  private final InstructionPool pool;
  private final Map<DropReason, Integer> dropped = new EnumMap<>(DropReason.class);
  private TokenUsage usage = TokenUsage.NONE;
  private long requests;
  private long newRequests;
  private int kept;

  SelfInstructRun(
      SelfInstruct.Builder options,
      InstructionModel model,
      LongFunction<String> prompts,
      ReplyJournal journal,
      RegenFile regen) {
    this.options = options;
    this.model = model;
    this.prompts = prompts;
    this.journal = journal;
    this.regen = regen;
    pool = new InstructionPool(options.similarityThreshold, options.anyScript);
    options.seedTasks.forEach(task -> pool.add(task.instruction()));
    regen.instructions().forEach(pool::add);
  }

  SelfInstructReport run() {
    int fruitless = 0;
    SelfInstructReport.End end;
    while ((end = end(fruitless)) == SelfInstructReport.End.RUNNING) {
      List<ModelRequest> missing = missing();
      if (!missing.isEmpty()) {
        model.complete(missing, journal::save);
      }
      int before = kept;
      for (long i = 0; i < options.requestBatchSize; i++) {
        use(saved(requests + i));
      }
      requests += options.requestBatchSize;
      newRequests += missing.size();
      if (!missing.isEmpty()) {
        regen.write();
        fruitless = kept > before ? 0 : fruitless + 1;
        options.listener.accept(report(SelfInstructReport.End.RUNNING));
      }
    }
    regen.write();
    return report(end);
  }

  /** Returns whether there is another round. Rounds that are paid for are always used. */
  private SelfInstructReport.End end(int fruitless) {
    if (missing().isEmpty()) {
      return SelfInstructReport.End.RUNNING;
    }
    if (regen.size() >= options.numInstructions) {
      return SelfInstructReport.End.COMPLETE;
    }
    if (requests + options.requestBatchSize > options.maxRequests) {
      return SelfInstructReport.End.MAX_REQUESTS;
    }
    return fruitless >= options.maxFruitlessRounds
        ? SelfInstructReport.End.FRUITLESS
        : SelfInstructReport.End.RUNNING;
  }

  /** Returns the requests of the next round that have no reply yet. */
  private List<ModelRequest> missing() {
    List<ModelRequest> missing = new ArrayList<>();
    for (long i = requests; i < requests + options.requestBatchSize; i++) {
      if (journal.reply(i).isEmpty()) {
        missing.add(new ModelRequest(i, prompts.apply(i), options.decoding));
      }
    }
    return missing;
  }

  private ModelReply saved(long request) {
    return journal
        .reply(request)
        .orElseThrow(
            () ->
                new InstructionModelException(
                    model.name() + ": returned without a reply to request " + request));
  }

  private void use(ModelReply reply) {
    usage = usage.plus(reply.usage());
    for (ReplyParser.Piece piece : ReplyParser.parse(reply, options.numPromptInstructions)) {
      DropReason reason = piece.dropped();
      if (reason == null) {
        GeneratedInstruction fresh = pool.offer(piece.candidate().orElseThrow()).orElse(null);
        if (fresh != null) {
          regen.add(fresh);
          kept++;
        } else {
          reason = DropReason.TOO_SIMILAR;
        }
      }
      if (reason != null) {
        dropped.merge(reason, 1, Integer::sum);
      }
    }
  }

  private SelfInstructReport report(SelfInstructReport.End end) {
    return new SelfInstructReport(
        requests, newRequests, regen.size(), kept, dropped, usage, cost(), end);
  }

  private OptionalDouble cost() {
    return options.promptPrice == null || options.completionPrice == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(
            (usage.promptTokens() * options.promptPrice
                    + usage.completionTokens() * options.completionPrice)
                / 1e6);
  }
}
