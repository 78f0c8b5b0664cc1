package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.data.ExampleMaker.Cut;
import org.alpaca4j.data.SupervisedDataset.OnFullyMasked;
import org.alpaca4j.data.SupervisedDataset.OnTooLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes a dataset of records: tokenises them block by block on all cores, cuts or leaves out what
 * does not fit, and counts what became of them. The examples keep the records' order. To be used
 * once.
 */
final class DatasetAssembler<R> {
  private static final Logger log = LoggerFactory.getLogger(SupervisedDataset.class);

  /** Records handed to the cores at a time: so many, or so many characters, or more. */
  private static final int BLOCK = 16_384;

  private static final long BLOCK_CHARACTERS = 1 << 24;

  /** How many records one task tokenises. */
  private static final int CHUNK = 256;

  /** Which records are taken, and which examples are kept; as in the builders. */
  record Options(
      int maxLength,
      OnFullyMasked onFullyMasked,
      OnTooLong onTooLong,
      OnBadRecord onBadRecord,
      int limit) {}

  private final String origin;
  private final ExampleMaker<R> maker;
  private final Options options;
  private final ToLongFunction<R> characters;
  private final PageSink sink;
  private final ReadingLog readingLog;

  private final List<Integer> fullyMasked = new ArrayList<>();
  private final List<Integer> tooLong = new ArrayList<>();
  private int read;
  private int examples;
  private int truncated;
  private int shortened;
  private int unusable;
  private int longest;
  private long tokens;
  private long supervised;

  /**
   * Starts without records.
   *
   * @param origin what messages call the records' source, such as the file
   * @param characters about how much memory a record takes
   * @param sink takes the tokens; it is the caller's to close
   * @param readingLog hears of records that cannot be read, and gets those that cannot be tokenised
   */
  DatasetAssembler(
      String origin,
      ExampleMaker<R> maker,
      Options options,
      ToLongFunction<R> characters,
      PageSink sink,
      ReadingLog readingLog) {
    this.origin = origin;
    this.maker = maker;
    this.options = options;
    this.characters = characters;
    this.sink = sink;
    this.readingLog = readingLog;
  }

  SupervisedDataset assemble(Iterator<R> records) {
    while (read < options.limit() && records.hasNext()) {
      List<R> block = new ArrayList<>();
      long size = 0;
      while (block.size() < BLOCK
          && size < BLOCK_CHARACTERS
          && read + block.size() < options.limit()
          && records.hasNext()) {
        R record = records.next();
        block.add(record);
        size += characters.applyAsLong(record);
      }
      chunks(block).forEach(this::add);
      read += block.size();
    }
    List<BadRecord> bad = readingLog.badRecords();
    readingLog.check(origin, read - unusable);
    if (read == 0) {
      throw new DataException(origin + ": holds no record");
    }
    warn();
    if (supervised == 0) {
      throw nothingLeft();
    }
    DataReport report =
        new DataReport(
            read - unusable + bad.size(),
            examples,
            tokens,
            supervised,
            longest,
            truncated,
            shortened,
            fullyMasked,
            tooLong,
            bad,
            readingLog.unusedFields(),
            maker.specialTokensAsText(),
            maker.withoutThinking());
    log.info(
        "{}: {} examples, {} tokens, {} % supervised",
        origin, examples, tokens, Math.round(1000 * report.supervisedShare()) / 10.0);
    return sink.finish(report);
  }

  /** What one task made; with a failure, nothing else of it counts. */
  private record Chunk(
      TokenPage page,
      int truncated,
      int shortened,
      List<Integer> fullyMasked,
      List<Integer> tooLong,
      List<RecordException> bad) {}

  private List<Chunk> chunks(List<R> block) {
    int first = read;
    return IntStream.range(0, (block.size() + CHUNK - 1) / CHUNK)
        .parallel()
        .mapToObj(
            c -> {
              int from = c * CHUNK;
              int to = Math.min(block.size(), from + CHUNK);
              return chunk(block.subList(from, to), first + from);
            })
        .toList();
  }

  /** Runs beside others of its kind: it changes nothing here. */
  private Chunk chunk(List<R> records, int firstIndex) {
    TokenPage.Builder page = new TokenPage.Builder();
    List<Integer> masked = new ArrayList<>();
    List<Integer> longer = new ArrayList<>();
    List<RecordException> bad = new ArrayList<>();
    int cuts = 0;
    int shorter = 0;
    for (int i = 0; i < records.size(); i++) {
      int index = firstIndex + i;
      try {
        ExampleMaker.Made made = maker.make(records.get(i));
        SupervisedExample example = made.example();
        if (example == null) {
          masked.add(index);
          continue;
        }
        int longest = example.longestSequence();
        boolean cut = made.cut() == Cut.END || longest > options.maxLength();
        if (cut && options.onTooLong() == OnTooLong.ERROR) {
          throw new DataException(
              "has "
                  + longest
                  + " tokens, more than maxLength "
                  + options.maxLength()
                  + "; raise it, or choose another onTooLong");
        }
        if (cut && options.onTooLong() != OnTooLong.TRUNCATE) {
          longer.add(index);
          continue;
        }
        if (longest > options.maxLength()) {
          example = Truncation.atTheEnd(example, options.maxLength());
        }
        if (example.supervisedTokens() == 0) {
          if (options.onFullyMasked() == OnFullyMasked.ERROR) {
            throw new DataException(
                "has no supervised token"
                    + (cut ? " within maxLength " + options.maxLength() : "")
                    + "; raise maxLength, mend the record, or choose onFullyMasked DROP");
          }
          masked.add(index);
          if (options.onFullyMasked() == OnFullyMasked.DROP) {
            continue;
          }
        }
        if (cut) {
          cuts++;
        }
        if (made.cut() == Cut.FRONT) {
          shorter++;
        }
        page.add(index, example);
      } catch (AlpacaException e) {
        bad.add(new RecordException(new BadRecord(origin, 0, index, reason(e)), e));
        if (options.onBadRecord().refuses()) {
          break;
        }
      }
    }
    return new Chunk(page.build(), cuts, shorter, masked, longer, bad);
  }

  private void add(Chunk chunk) {
    chunk.bad().forEach(readingLog::bad);
    unusable += chunk.bad().size();
    fullyMasked.addAll(chunk.fullyMasked());
    tooLong.addAll(chunk.tooLong());
    truncated += chunk.truncated();
    shortened += chunk.shortened();
    TokenPage page = chunk.page();
    if (page.size() > 0) {
      sink.add(page);
    }
    examples += page.size();
    for (int i = 0; i < page.size(); i++) {
      tokens += page.length(i);
      supervised += page.supervisedTokens(i);
      longest = Math.max(longest, page.longestSequence(i));
    }
  }

  private static String reason(AlpacaException e) {
    return String.valueOf(e.getMessage());
  }

  private void warn() {
    List<BadRecord> bad = readingLog.badRecords();
    if (!bad.isEmpty()) {
      log.warn(
          "{}: {} records left out, since they cannot be used; the first: {}",
          origin,
          bad.size(),
          bad.get(0));
    }
    if (!readingLog.unusedFields().isEmpty()) {
      log.info(
          "{}: fields without a meaning here, ignored: {}",
          origin,
          String.join(", ", readingLog.unusedFields()));
    }
    if (maker.specialTokensAsText() > 0) {
      log.warn(
          "{}: {} of {} records have the text of a special token in their own texts; it is taken for"
              + " text, unless splitSpecialTokens(false) is set",
          origin,
          maker.specialTokensAsText(),
          read);
    }
    if (!fullyMasked.isEmpty()) {
      log.warn(
          "{}: {} of {} records {}, since none of their tokens is supervised: {}{}",
          origin,
          fullyMasked.size(),
          read,
          options.onFullyMasked() == OnFullyMasked.KEEP ? "teach nothing" : "left out",
          fullyMasked.subList(0, Math.min(10, fullyMasked.size())),
          fullyMasked.size() > 10 ? " ..." : "");
    }
    if (!tooLong.isEmpty()) {
      log.warn(
          "{}: {} of {} records left out, since they are longer than {} tokens",
          origin,
          tooLong.size(),
          read,
          options.maxLength());
    }
    if (shortened > 0) {
      log.warn(
          "{}: {} of {} examples made to fit {} tokens by leaving out early turns or the beginning"
              + " of the prompt",
          origin,
          shortened,
          examples,
          options.maxLength());
    }
    if (truncated > 0) {
      log.warn(
          "{}: {} of {} examples cut at {} tokens; they lost the end of their answer",
          origin,
          truncated,
          examples,
          options.maxLength());
    }
  }

  private DataException nothingLeft() {
    return new DataException(
        origin
            + ": no example is left of "
            + read
            + " records ("
            + fullyMasked.size()
            + " without a supervised token, "
            + tooLong.size()
            + " too long); maxLength is "
            + options.maxLength()
            + ", raise it or check the data");
  }
}
