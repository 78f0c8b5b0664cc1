package org.alpaca4j.core.internal.sentencepiece;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.alpaca4j.core.AddedToken;
import org.alpaca4j.core.TokenizerException;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Algorithm;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Piece;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Type;
import org.alpaca4j.core.internal.tokenizer.FastTokenizer;
import org.alpaca4j.core.internal.tokenizer.FastTokenizer.Part;
import org.alpaca4j.core.internal.tokenizer.TokenTemplate;

/**
 * Writes a SentencePiece model as Hugging Face's {@code tokenizer.json} and {@code
 * tokenizer_config.json}. Without options the form is the one in which Llama 2 is published and in
 * which transformers 4 converts {@code LlamaTokenizer} (its "legacy" behaviour): the normaliser
 * puts U+2581 before the text and in place of spaces, there is no pre-tokenizer, unknown characters
 * become bytes.
 *
 * <p>Ids are SentencePiece's own, but for texts of special tokens, which become those tokens here.
 */
public final class SentencePieceTokenizer {
  private static final String SPACE = "\u2581";
  private static final BigInteger NO_MAX_LENGTH = new BigInteger("1000000000000000019884624838656");
  private static final String META_CHARACTERS = "\\.*+?^$()[]{}|";

  /**
   * The score of a piece that is never found in a text: worse than any way around it. Not lower
   * than needed, since the unknown's score is the lowest one and a bit.
   */
  private static final double NEVER = -10_000;

  /** Ids without a token that an added one may lie beyond. */
  private static final int MAX_GAP = 1_000;

  /** When U+2581 is put before a text that another token does not continue. */
  public enum DummyPrefix {
    /** Before each stretch of text between special tokens: SentencePiece's way. */
    EVERYWHERE,
    /** At the beginning of the text alone: {@code LlamaTokenizer} with {@code legacy: false}. */
    AT_THE_BEGINNING,
    /** Nowhere. */
    NEVER
  }

  /**
   * A text that another one stands for in the model.
   *
   * @param text what a user writes
   * @param symbol what the model's pieces have in its place
   */
  public record Rewrite(String text, String symbol) {}

  /**
   * How a family uses its model.
   *
   * @param symbolsAreAdded whether user-defined pieces become added tokens, as transformers has it
   *     for its own classes; else they are found where SentencePiece finds them, in the normalised
   *     text
   * @param dummyPrefix where the model's dummy prefix goes, if it has one
   * @param firstId the id of the model's first piece; those before are {@code <image_N>}
   * @param rewrites what is replaced before anything else, in order
   * @param added tokens by id; where the model has a piece with that id, it gets this name
   * @param template what is put around a text
   */
  public record Options(
      boolean symbolsAreAdded,
      DummyPrefix dummyPrefix,
      int firstId,
      List<Rewrite> rewrites,
      SortedMap<Integer, AddedToken> added,
      TokenTemplate template) {

    /** Copies list and map. */
    public Options {
      rewrites = List.copyOf(rewrites);
      added = new TreeMap<>(added);
    }

    /** Returns what transformers does with a {@code LlamaTokenizer}. */
    public static Options llama(TokenTemplate template) {
      return new Options(true, DummyPrefix.EVERYWHERE, 0, List.of(), new TreeMap<>(), template);
    }
  }

  private final SentencePieceModel model;

  /** Wraps a model. */
  public SentencePieceTokenizer(SentencePieceModel model) {
    this.model = model;
  }

  /**
   * Returns the text of a {@code tokenizer.json} in Llama's form, UTF-8.
   *
   * @param addBos whether its template puts the begin-of-sequence token before a text
   * @param addEos whether its template puts the end-of-sequence token after a text
   * @param origin names the model in errors
   */
  public byte[] tokenizerJson(boolean addBos, boolean addEos, String origin) {
    List<String> before = addBos && !model.bos().isEmpty() ? List.of(model.bos()) : List.of();
    List<String> after = addEos && !model.eos().isEmpty() ? List.of(model.eos()) : List.of();
    return tokenizerJson(Options.llama(TokenTemplate.around(before, after)), origin);
  }

  /**
   * Returns the text of a {@code tokenizer.json}, UTF-8.
   *
   * @param origin names the model in errors
   */
  public byte[] tokenizerJson(Options options, String origin) {
    return new Writer(options, origin).write().toJson();
  }

  /** Returns the text of a {@code tokenizer_config.json} in Llama's form, UTF-8. */
  public byte[] configJson() {
    return FastTokenizer.json(
        out -> {
          out.useDefaultPrettyPrinter();
          out.writeStartObject();
          out.writeBooleanField("add_bos_token", !model.bos().isEmpty());
          out.writeBooleanField("add_eos_token", false);
          out.writeObjectFieldStart("added_tokens_decoder");
          for (int id = 0; id < model.pieces().size(); id++) {
            Piece piece = model.pieces().get(id);
            if (isSpecial(piece) || piece.type() == Type.USER_DEFINED) {
              out.writeObjectFieldStart(Integer.toString(id));
              FastTokenizer.writeFields(out, addedToken(piece));
              out.writeEndObject();
            }
          }
          out.writeEndObject();
          writeRole(out, "bos_token", model.bos());
          out.writeBooleanField("clean_up_tokenization_spaces", false);
          writeRole(out, "eos_token", model.eos());
          out.writeBooleanField("legacy", true);
          out.writeFieldName("model_max_length");
          out.writeNumber(NO_MAX_LENGTH);
          writeRole(out, "pad_token", model.pad());
          out.writeStringField("tokenizer_class", "LlamaTokenizer");
          writeRole(out, "unk_token", model.unknown());
          out.writeEndObject();
        });
  }

  private static boolean isSpecial(Piece piece) {
    return piece.type() == Type.UNKNOWN || piece.type() == Type.CONTROL;
  }

  private static AddedToken addedToken(Piece piece) {
    return new AddedToken(piece.text(), isSpecial(piece), false, false, false, false);
  }

  private static void writeRole(JsonGenerator out, String role, String token) throws IOException {
    if (token.isEmpty()) {
      out.writeNullField(role);
    } else {
      out.writeStringField(role, token);
    }
  }

  private final class Writer {
    private final Options options;
    private final String origin;
    private final SortedMap<Integer, AddedToken> added = new TreeMap<>();
    private final List<Piece> pieces = new ArrayList<>();
    private final Map<String, Integer> ids = new LinkedHashMap<>();

    Writer(Options options, String origin) {
      this.options = options;
      this.origin = origin;
      Map<String, Integer> known = model.ids();
      for (int at = 0; at < model.pieces().size(); at++) {
        int id = options.firstId() + at;
        Piece piece = model.pieces().get(at);
        AddedToken named = options.added().get(id);
        if (named != null && !known.containsKey(named.content())) {
          piece = new Piece(named.content(), piece.score(), Type.CONTROL);
        }
        pieces.add(piece);
        ids.put(piece.text(), id);
        if (named != null && named.content().equals(piece.text())) {
          added.put(id, named);
        } else if (isSpecial(piece) || isAddedSymbol(piece)) {
          added.put(id, addedToken(piece));
        }
      }
      options
          .added()
          .tailMap(options.firstId() + pieces.size())
          .forEach(
              (id, token) -> {
                if (ids.putIfAbsent(token.content(), id) == null) {
                  added.put(id, token);
                }
              });
    }

    private boolean isAddedSymbol(Piece piece) {
      return piece.type() == Type.USER_DEFINED && options.symbolsAreAdded();
    }

    private DummyPrefix dummyPrefix() {
      return model.normalization().addDummyPrefix() ? options.dummyPrefix() : DummyPrefix.NEVER;
    }

    /** Pieces that are found as a whole in the normalised text. */
    private List<String> symbols() {
      return pieces.stream()
          .filter(piece -> piece.type() == Type.USER_DEFINED && !options.symbolsAreAdded())
          .map(Piece::text)
          .sorted(Comparator.comparingInt(String::length).reversed())
          .toList();
    }

    FastTokenizer write() {
      return new FastTokenizer(
          added,
          normalizer(),
          preTokenizer(),
          options.template().postProcessor(ids),
          decoder(),
          model.algorithm() == Algorithm.BPE ? bpe() : unigram());
    }

    private Part normalizer() {
      List<Part> steps = new ArrayList<>();
      options.rewrites().forEach(r -> steps.add(Part.replace(r.text(), r.symbol())));
      if (!model.normalization().characterMap().isEmpty()) {
        steps.add(
            Part.step(
                "Precompiled",
                out ->
                    out.writeStringField(
                        "precompiled_charsmap", model.normalization().characterMap())));
      }
      if (model.normalization().removeExtraWhitespaces()) {
        steps.add(Part.replaceRegex("\\A +| +\\z", ""));
        steps.add(Part.replaceRegex(" {2,}", " "));
      }
      if (dummyPrefix() == DummyPrefix.EVERYWHERE) {
        steps.add(Part.step("Prepend", out -> out.writeStringField("prepend", SPACE)));
      }
      if (dummyPrefix() != DummyPrefix.AT_THE_BEGINNING) {
        steps.add(Part.replace(" ", SPACE));
      }
      return steps.isEmpty() ? Part.NONE : Part.sequence("normalizers", steps);
    }

    private Part preTokenizer() {
      List<Part> steps = new ArrayList<>();
      if (dummyPrefix() == DummyPrefix.AT_THE_BEGINNING) {
        steps.add(
            Part.step(
                "Metaspace",
                out -> {
                  out.writeStringField("replacement", SPACE);
                  out.writeStringField("prepend_scheme", "first");
                  out.writeBooleanField("split", false);
                }));
      }
      if (!symbols().isEmpty()) {
        steps.add(
            Part.isolate(
                symbols().stream()
                    .map(SentencePieceTokenizer::quoted)
                    .collect(Collectors.joining("|"))));
      }
      return switch (steps.size()) {
        case 0 -> Part.NONE;
        case 1 -> steps.get(0);
        default -> Part.sequence("pretokenizers", steps);
      };
    }

    private Part decoder() {
      List<Part> steps = new ArrayList<>();
      steps.add(Part.replace(SPACE, " "));
      options.rewrites().forEach(r -> steps.add(Part.replace(r.symbol(), r.text())));
      if (model.byteFallback()) {
        steps.add(Part.named("ByteFallback"));
      }
      steps.add(Part.named("Fuse"));
      if (dummyPrefix() != DummyPrefix.NEVER) {
        steps.add(
            Part.step(
                "Strip",
                out -> {
                  out.writeStringField("content", " ");
                  out.writeNumberField("start", 1);
                  out.writeNumberField("stop", 0);
                }));
      }
      return Part.sequence("decoders", steps);
    }

    private String unknown() {
      Integer at = model.ids().get(model.unknown());
      return at == null ? "" : pieces.get(at).text();
    }

    private Part bpe() {
      // transformers merges the pieces that it also adds as tokens; that is how runs of U+2581,
      // which no raw text has, come about.
      List<Merges.Merge> merges =
          Merges.of(
              pieces,
              piece ->
                  piece.type() == Type.NORMAL
                      || (isAddedSymbol(piece) && piece.text().contains(SPACE)),
              origin);
      Map<String, Integer> vocabulary = new LinkedHashMap<>();
      for (int id = 0; id < options.firstId(); id++) {
        vocabulary.put(filler(id), id);
      }
      pieces.forEach(piece -> vocabulary.put(piece.text(), ids.getOrDefault(piece.text(), -1)));
      if (hasGaps()) {
        // The library numbers tokens beyond the vocabulary one after the other.
        beyond().forEach((id, token) -> vocabulary.put(token.content(), id));
      }
      return Part.step(
          "BPE",
          out -> {
            out.writeNullField("dropout");
            writeRole(out, "unk_token", unknown());
            out.writeNullField("continuing_subword_prefix");
            out.writeNullField("end_of_word_suffix");
            out.writeBooleanField("fuse_unk", true);
            out.writeBooleanField("byte_fallback", model.byteFallback());
            out.writeBooleanField("ignore_merges", !symbols().isEmpty());
            out.writeObjectFieldStart("vocab");
            for (Map.Entry<String, Integer> entry : vocabulary.entrySet()) {
              out.writeNumberField(entry.getKey(), entry.getValue());
            }
            out.writeEndObject();
            out.writeArrayFieldStart("merges");
            for (Merges.Merge merge : merges) {
              out.writeString(merge.left() + " " + merge.right());
            }
            out.writeEndArray();
          });
    }

    private Part unigram() {
      Map<Integer, String> names = new HashMap<>();
      int size = options.firstId() + pieces.size();
      if (hasGaps()) {
        beyond().forEach((id, token) -> names.put(id, token.content()));
        int last = beyond().lastKey();
        if (last - size > MAX_GAP) {
          throw new TokenizerException(
              origin
                  + ": an added token has the id "
                  + last
                  + ", but the vocabulary ends at "
                  + (size - 1));
        }
        size = last + 1;
      }
      int total = size;
      return Part.step(
          "Unigram",
          out -> {
            out.writeNumberField(
                "unk_id", options.firstId() + model.ids().getOrDefault(model.unknown(), 0));
            out.writeBooleanField("byte_fallback", model.byteFallback());
            out.writeArrayFieldStart("vocab");
            for (int id = 0; id < total; id++) {
              int at = id - options.firstId();
              Piece piece = at >= 0 && at < pieces.size() ? pieces.get(at) : null;
              out.writeStartArray();
              out.writeString(piece == null ? names.getOrDefault(id, filler(id)) : piece.text());
              out.writeNumber(piece == null ? NEVER : score(piece));
              out.writeEndArray();
            }
            out.writeEndArray();
          });
    }

    private double score(Piece piece) {
      return switch (piece.type()) {
        case NORMAL -> piece.score();
        case USER_DEFINED -> 0;
        default -> NEVER;
      };
    }

    private SortedMap<Integer, AddedToken> beyond() {
      return added.tailMap(options.firstId() + pieces.size());
    }

    private boolean hasGaps() {
      return !beyond().isEmpty()
          && beyond().lastKey() != options.firstId() + pieces.size() + beyond().size() - 1;
    }
  }

  private static String filler(int id) {
    return "<image_" + id + ">"; // ChatGLM-6B's name for the ids before its text
  }

  /** Escapes what has a meaning in an expression. */
  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (META_CHARACTERS.indexOf(c) >= 0) {
        quoted.append('\\');
      }
      quoted.append(c);
    }
    return quoted.toString();
  }
}
