package org.alpaca4j.core.internal.sentencepiece;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.TokenizerException;

/**
 * What a SentencePiece {@code tokenizer.model} says, as far as a tokenizer needs it. Models of a
 * kind that no language model has are refused by name.
 *
 * @param pieces the vocabulary; a piece's place is its id
 * @param algorithm how a text is cut into pieces
 * @param byteFallback whether a character without a piece becomes its UTF-8 bytes
 * @param normalization how a text is changed before it is cut
 * @param bos the piece that begins a text, else empty
 * @param eos the piece that ends a text, else empty
 * @param pad the piece that pads, else empty
 * @param unknown the piece for what has no other, else empty
 * @see <a
 *     href="https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto">The
 *     format</a>
 */
public record SentencePieceModel(
    List<Piece> pieces,
    Algorithm algorithm,
    boolean byteFallback,
    Normalization normalization,
    String bos,
    String eos,
    String pad,
    String unknown) {
  private static final long MAX_FILE_BYTES = 16L << 20; // the largest known, Gemma's, has 4 MiB
  private static final int MAX_PIECE_LENGTH = 256; // trainers stop at 16 characters by default
  private static final List<Algorithm> ALGORITHMS = List.of(Algorithm.UNIGRAM, Algorithm.BPE);

  /** The format's numbers begin at 1, those of algorithms too. */
  private static final List<Type> TYPES =
      List.of(Type.NORMAL, Type.UNKNOWN, Type.CONTROL, Type.USER_DEFINED, Type.UNUSED, Type.BYTE);

  /** How a text is cut into pieces. */
  public enum Algorithm {
    /** The most probable sequence of pieces. */
    UNIGRAM,
    /** Neighbours are joined, those of the best score first. */
    BPE
  }

  /**
   * How a text is changed before it is cut; spaces become U+2581 in any case.
   *
   * @param addDummyPrefix whether it gets a space in front
   * @param removeExtraWhitespaces whether it loses spaces at both ends, and all but one elsewhere
   * @param characterMap SentencePiece's table of what characters become (such as NFKC), in base64;
   *     empty if they stay
   */
  public record Normalization(
      boolean addDummyPrefix, boolean removeExtraWhitespaces, String characterMap) {}

  /** What a piece is for. */
  public enum Type {
    NORMAL,
    UNKNOWN,
    CONTROL,
    USER_DEFINED,
    UNUSED,
    BYTE
  }

  /**
   * An entry of the vocabulary.
   *
   * @param text the piece, spaces written as U+2581
   * @param score pieces of a higher score are merged first
   * @param type what it is for
   */
  public record Piece(String text, float score, Type type) {}

  /** Copies the list. */
  public SentencePieceModel {
    pieces = List.copyOf(pieces);
  }

  /** Makes a BPE model that leaves a text as it is, but for a space in front. */
  public SentencePieceModel(
      List<Piece> pieces,
      boolean byteFallback,
      boolean addDummyPrefix,
      String bos,
      String eos,
      String pad,
      String unknown) {
    this(
        pieces,
        Algorithm.BPE,
        byteFallback,
        new Normalization(addDummyPrefix, false, ""),
        bos,
        eos,
        pad,
        unknown);
  }

  /** Returns this model with further pieces at the end. */
  public SentencePieceModel withPieces(List<Piece> more, boolean fallsBackToBytes) {
    List<Piece> all = new ArrayList<>(pieces);
    all.addAll(more);
    return new SentencePieceModel(
        all, algorithm, fallsBackToBytes, normalization, bos, eos, pad, unknown);
  }

  /** Returns the id of each piece. */
  public Map<String, Integer> ids() {
    Map<String, Integer> ids = new LinkedHashMap<>();
    for (int id = 0; id < pieces.size(); id++) {
      ids.put(pieces.get(id).text(), id);
    }
    return ids;
  }

  /**
   * Reads a file.
   *
   * @throws TokenizerException if it cannot be read, is no SentencePiece model, or is one that this
   *     library does not run
   */
  public static SentencePieceModel load(Path file) {
    try {
      long size = Files.size(file);
      if (size > MAX_FILE_BYTES) {
        throw new TokenizerException(
            file + ": has " + size + " bytes, more than the " + MAX_FILE_BYTES + " permitted");
      }
      return parse(Files.readAllBytes(file), file.toString());
    } catch (IOException e) {
      throw new TokenizerException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /** Reads the bytes of a file; {@code origin} names it in errors. */
  static SentencePieceModel parse(byte[] bytes, String origin) {
    if (looksLikeTiktoken(bytes)) {
      throw new TokenizerException(
          origin
              + ": is a tiktoken vocabulary, as Llama 3 has, not a SentencePiece model; use the"
              + " tokenizer.json of the same model's Hugging Face folder");
    }
    return new Parser(origin).parse(new ProtobufReader(bytes, origin));
  }

  /** Such a file is lines of base64, a space and a number. */
  private static boolean looksLikeTiktoken(byte[] bytes) {
    int at = 0;
    while (at < bytes.length && at < 64 && (isAlphanumeric(bytes[at]) || isBase64Mark(bytes[at]))) {
      at++;
    }
    return at > 0
        && at % 4 == 0
        && at + 1 < bytes.length
        && bytes[at] == ' '
        && bytes[at + 1] >= '0'
        && bytes[at + 1] <= '9';
  }

  private static boolean isAlphanumeric(byte b) {
    return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z';
  }

  private static boolean isBase64Mark(byte b) {
    return b == '+' || b == '/' || b == '=';
  }

  /** Fields as they come; what is absent has the format's default. */
  private static final class Parser {
    private final String origin;
    private final List<Piece> pieces = new ArrayList<>();
    private final Set<String> texts = new HashSet<>();
    private long algorithm = 1;
    private boolean whitespaceIsSuffix;
    private boolean byteFallback;
    private String bosPiece = "<s>";
    private String eosPiece = "</s>";
    private String padPiece = "<pad>";
    private byte[] characterMap = {};
    private boolean addDummyPrefix = true;
    private boolean removeExtraWhitespaces = true;
    private boolean escapeWhitespaces = true;

    Parser(String origin) {
      this.origin = origin;
    }

    SentencePieceModel parse(ProtobufReader model) {
      while (model.next()) {
        switch (model.field()) {
          case 1 -> readPiece(model.message());
          case 2 -> readTrainer(model.message());
          case 3 -> readNormalizer(model.message());
          default -> model.skip();
        }
      }
      requireSupported();
      List<Piece> unknown = pieces.stream().filter(p -> p.type == Type.UNKNOWN).toList();
      if (unknown.size() != 1) {
        throw refusal("it has " + unknown.size() + " pieces for the unknown, expected 1");
      }
      return new SentencePieceModel(
          pieces,
          ALGORITHMS.get((int) algorithm - 1),
          byteFallback,
          new Normalization(
              addDummyPrefix,
              removeExtraWhitespaces,
              Base64.getEncoder().encodeToString(characterMap)),
          controlOrNone(bosPiece),
          controlOrNone(eosPiece),
          controlOrNone(padPiece),
          unknown.get(0).text);
    }

    private void readPiece(ProtobufReader message) {
      String text = "";
      float score = 0;
      long type = 1;
      while (message.next()) {
        switch (message.field()) {
          case 1 -> text = message.string();
          case 2 -> score = message.float32();
          case 3 -> type = message.varint();
          default -> message.skip();
        }
      }
      String where = "piece " + pieces.size();
      if (type < 1 || type > TYPES.size()) {
        throw refusal(where + " has the type " + type + ", which does not exist");
      }
      if (text.isEmpty() || text.length() > MAX_PIECE_LENGTH) {
        throw refusal(
            where + " has " + text.length() + " characters, expected 1 to " + MAX_PIECE_LENGTH);
      }
      if (!texts.add(text)) {
        throw refusal(where + ", \"" + text + "\", is there twice");
      }
      if (!Float.isFinite(score)) {
        throw refusal(where + ", \"" + text + "\", has the score " + score);
      }
      pieces.add(new Piece(text, score, TYPES.get((int) type - 1)));
    }

    private void readTrainer(ProtobufReader message) {
      while (message.next()) {
        switch (message.field()) {
          case 3 -> algorithm = message.varint();
          case 24 -> whitespaceIsSuffix = message.bool();
          case 35 -> byteFallback = message.bool();
          case 46 -> bosPiece = message.string();
          case 47 -> eosPiece = message.string();
          case 48 -> padPiece = message.string();
          default -> message.skip();
        }
      }
    }

    private void readNormalizer(ProtobufReader message) {
      while (message.next()) {
        switch (message.field()) {
          case 2 -> characterMap = message.bytes();
          case 3 -> addDummyPrefix = message.bool();
          case 4 -> removeExtraWhitespaces = message.bool();
          case 5 -> escapeWhitespaces = message.bool();
          default -> message.skip();
        }
      }
    }

    private void requireSupported() {
      if (pieces.isEmpty()) {
        throw refusal("it has no pieces");
      }
      if (algorithm < 1 || algorithm > ALGORITHMS.size()) {
        String name = algorithm == 3 ? "Word" : algorithm == 4 ? "Char" : "number " + algorithm;
        throw refusal("its algorithm is " + name + "; BPE and Unigram are read");
      }
      if (characterMap.length > 0) {
        CharacterMap.check(characterMap, origin);
      }
      if (!escapeWhitespaces) {
        throw refusal("it keeps spaces (normalizer_spec.escape_whitespaces is false)");
      }
      if (whitespaceIsSuffix) {
        throw refusal("its spaces end a word (trainer_spec.treat_whitespace_as_suffix)");
      }
      if (ALGORITHMS.get((int) algorithm - 1) == Algorithm.BPE
          && pieces.stream().anyMatch(piece -> piece.type == Type.UNUSED)) {
        throw refusal("it has pieces marked as unused, which BPE would have to take apart again");
      }
      if (byteFallback) {
        requireBytes();
      }
    }

    private void requireBytes() {
      Set<String> bytes = new HashSet<>();
      pieces.stream().filter(p -> p.type == Type.BYTE).forEach(p -> bytes.add(p.text));
      for (int value = 0; value < 256; value++) {
        String name = String.format("<0x%02X>", value);
        if (!bytes.contains(name)) {
          throw refusal("it falls back to bytes, but has no piece " + name);
        }
      }
    }

    /** SentencePiece looks these up by their text, and takes control pieces only. */
    private String controlOrNone(String text) {
      return pieces.stream().anyMatch(p -> p.type == Type.CONTROL && p.text.equals(text))
          ? text
          : "";
    }

    private TokenizerException refusal(String why) {
      return new TokenizerException(
          origin
              + ": "
              + why
              + "; use a folder with this model's tokenizer.json, such as its repository on the"
              + " Hugging Face hub");
    }
  }
}
