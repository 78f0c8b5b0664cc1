package org.alpaca4j.core.internal.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.TokenizerException;
import org.jspecify.annotations.Nullable;

/** Reads the vocabularies of byte-level tokenizers. */
public final class VocabularyFiles {
  private static final long MAX_FILE_BYTES = 64L << 20; // the largest known have 5 MiB
  private static final int MAX_TOKEN_BYTES = 512; // runs of 128 spaces are the longest known

  /** The tokens of a vocabulary are field names, which it takes half of the time to intern. */
  private static final JsonFactory JSON =
      JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();

  /** Qwen has 2 on average; a file made to waste memory could have as many as characters. */
  private static final int MAX_MERGES_PER_TOKEN = 16;

  private VocabularyFiles() {}

  /**
   * A vocabulary and the merges that make its tokens.
   *
   * @param ids by token, in the alphabet of bytes
   * @param merges each as "left right", the first ones first
   */
  public record Vocabulary(Map<String, Integer> ids, List<String> merges) {}

  private static byte[] bytes(Path file) {
    try {
      long size = Files.size(file);
      if (size > MAX_FILE_BYTES) {
        throw new TokenizerException(
            file + ": has " + size + " bytes, more than the " + MAX_FILE_BYTES + " permitted");
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new TokenizerException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /**
   * Reads a {@code vocab.json} (token to id) and a {@code merges.txt} (a pair a line).
   *
   * @throws TokenizerException if a file cannot be read, or if they do not fit together
   */
  public static Vocabulary json(Path vocabulary, Path merges) {
    Map<String, Integer> ids = new LinkedHashMap<>();
    try (JsonParser parser = JSON.createParser(bytes(vocabulary))) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new TokenizerException(vocabulary + ": expected a JSON object of tokens and ids");
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String token = parser.currentName();
        if (parser.nextToken() != JsonToken.VALUE_NUMBER_INT || parser.getLongValue() < 0) {
          throw new TokenizerException(
              vocabulary
                  + ": token \""
                  + token
                  + "\" has the id "
                  + parser.getText()
                  + ", expected a whole number from 0");
        }
        ids.put(token, parser.getIntValue());
      }
    } catch (IOException e) {
      throw new TokenizerException(vocabulary + ": not readable as JSON: " + e.getMessage(), e);
    }
    return new Vocabulary(ids, mergesOf(merges, ids));
  }

  private static List<String> mergesOf(Path file, Map<String, Integer> ids) {
    List<String> merges = new ArrayList<>();
    String text = new String(bytes(file), StandardCharsets.UTF_8);
    int number = 0;
    for (int start = 0; start < text.length(); number++) {
      int end = text.indexOf('\n', start);
      end = end < 0 ? text.length() : end;
      String line = text.substring(start, end).stripTrailing();
      start = end + 1;
      if (line.isEmpty() || (number == 0 && line.startsWith("#version"))) {
        continue;
      }
      int space = line.indexOf(' ');
      if (space <= 0
          || line.indexOf(' ', space + 1) >= 0
          || !ids.containsKey(line.substring(0, space))
          || !ids.containsKey(line.substring(space + 1))
          || !ids.containsKey(line.substring(0, space) + line.substring(space + 1))) {
        throw new TokenizerException(
            file
                + ": line "
                + (number + 1)
                + ", \""
                + shortened(line)
                + "\", is not two tokens of vocab.json that make a third; both files must be"
                + " of the same model");
      }
      merges.add(line);
    }
    return merges;
  }

  private static String shortened(String line) {
    return line.length() <= 80 ? line : line.substring(0, 80) + "\u2026";
  }

  /**
   * Reads a vocabulary of tiktoken: lines of a token's bytes in base64, a space, and its rank,
   * which is its id. tiktoken joins whichever two neighbours make the token of the lowest rank; so
   * every way to cut a token into two others becomes a merge, ranked by the token, then by the
   * parts, as in transformers' {@code TikTokenConverter}.
   *
   * @throws TokenizerException if the file cannot be read or is none
   */
  public static Vocabulary tiktoken(Path file) {
    Map<String, Integer> ids = new LinkedHashMap<>();
    List<String> byRank = new ArrayList<>();
    int number = 0;
    byte[] content = bytes(file);
    for (int start = 0; start < content.length; ) {
      int end = start;
      while (end < content.length && content[end] != '\n') {
        end++;
      }
      number++;
      String line = new String(content, start, end - start, StandardCharsets.ISO_8859_1).strip();
      start = end + 1;
      if (!line.isEmpty()) {
        String token = token(line, file, number);
        int rank = rank(line, file, number);
        if (rank != byRank.size() || ids.put(token, rank) != null) {
          throw new TokenizerException(
              file
                  + ": line "
                  + number
                  + " has the rank "
                  + rank
                  + " or a token that was there before, expected a new token of rank "
                  + byRank.size());
        }
        byRank.add(token);
      }
    }
    if (byRank.isEmpty()) {
      throw new TokenizerException(file + ": has no tokens; fetch it again");
    }
    return new Vocabulary(ids, mergesOf(byRank, ids, file));
  }

  private static String token(String line, Path file, int number) {
    int space = line.indexOf(' ');
    if (space > 0 && space <= MAX_TOKEN_BYTES) {
      try {
        byte[] bytes = Base64.getDecoder().decode(line.substring(0, space));
        if (bytes.length > 0) {
          return ByteAlphabet.write(bytes);
        }
      } catch (IllegalArgumentException e) {
        throw malformed(line, file, number, e);
      }
    }
    throw malformed(line, file, number, null);
  }

  private static int rank(String line, Path file, int number) {
    try {
      return Integer.parseInt(line.substring(line.indexOf(' ') + 1).strip());
    } catch (NumberFormatException e) {
      throw malformed(line, file, number, e);
    }
  }

  private static TokenizerException malformed(
      String line, Path file, int number, @Nullable Throwable cause) {
    String message =
        file
            + ": line "
            + number
            + ", \""
            + shortened(line)
            + "\", is not a token in base64, a space and a rank; fetch the file again";
    return cause == null ? new TokenizerException(message) : new TokenizerException(message, cause);
  }

  private record Cut(int at, int left, int right) {}

  private static List<String> mergesOf(List<String> byRank, Map<String, Integer> ids, Path file) {
    List<String> merges = new ArrayList<>();
    List<Cut> cuts = new ArrayList<>();
    for (String token : byRank) {
      cuts.clear();
      for (int at = 1; at < token.length(); at++) {
        Integer left = ids.get(token.substring(0, at));
        Integer right = left == null ? null : ids.get(token.substring(at));
        if (left != null && right != null) {
          cuts.add(new Cut(at, left, right));
        }
      }
      cuts.sort(
          (a, b) ->
              a.left != b.left
                  ? Integer.compare(a.left, b.left)
                  : Integer.compare(a.right, b.right));
      for (Cut cut : cuts) {
        merges.add(token.substring(0, cut.at) + " " + token.substring(cut.at));
      }
      if (merges.size() > (long) MAX_MERGES_PER_TOKEN * byRank.size()) {
        throw new TokenizerException(
            file
                + ": its tokens can be cut into each other in more than "
                + merges.size()
                + " ways, which no trained vocabulary has");
      }
    }
    return merges;
  }
}
