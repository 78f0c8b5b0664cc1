package org.alpaca4j.core;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Piece;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceModel.Type;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer.DummyPrefix;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer.Options;
import org.alpaca4j.core.internal.sentencepiece.SentencePieceTokenizer.Rewrite;
import org.alpaca4j.core.internal.tokenizer.ByteLevelTokenizer;
import org.alpaca4j.core.internal.tokenizer.ByteLevelTokenizer.Splitting;
import org.alpaca4j.core.internal.tokenizer.TokenTemplate;
import org.alpaca4j.core.internal.tokenizer.VocabularyFiles;
import org.alpaca4j.core.internal.tokenizer.VocabularyFiles.Vocabulary;
import org.jspecify.annotations.Nullable;

/**
 * Makes the {@code tokenizer.json} of a folder that has none, of the vocabulary that it has and of
 * what the files beside it say. No code of the folder is run: what a class does is known here.
 *
 * @param json the {@code tokenizer.json}
 * @param files the files beside it, with the roles that the class or the vocabulary gives
 */
record TokenizerConversion(byte[] json, TokenizerFiles files) {

  private static final String MASK = "[MASK]";
  private static final String GENERATION_MASK = "[gMASK]";
  private static final String SENTENCE_MASK = "[sMASK]";
  private static final int MAX_BLANKS = 80;

  /** ChatGLM-6B's special tokens, in the order of their ids. */
  private static final List<String> CHAT_GLM_TOKENS =
      List.of(
          MASK,
          GENERATION_MASK,
          SENTENCE_MASK,
          "<unused_0>",
          "<sop>",
          "<eop>",
          "<ENC>",
          "<dBLOCK>");

  /** ChatGLM-6B's first release had as many image tokens before its text. */
  private static final int IMAGE_TOKENS = 20_000;

  /** Number of Qwen's spare special tokens. */
  private static final int QWEN_EXTRAS = 205;

  /**
   * Converts a vocabulary.
   *
   * @throws TokenizerException if it cannot be read, or if its kind is not known
   */
  static TokenizerConversion of(Path file, VocabularyFile kind, TokenizerFiles files) {
    TokenizerClass type = TokenizerClass.of(files, kind);
    return switch (type) {
      case LLAMA, GEMMA, BAICHUAN, INTERN_LM -> sentencePiece(file, type, files);
      case CHAT_GLM -> chatGlm(file, files);
      case CHAT_GLM2 -> chatGlm2(file, files);
      case GPT2, QWEN2 -> vocabularyAndMerges(file, type, files);
      case QWEN -> qwen(file, files);
    };
  }

  private static TokenizerConversion sentencePiece(
      Path file, TokenizerClass type, TokenizerFiles files) {
    SentencePieceModel model = SentencePieceModel.load(file);
    SentencePieceTokenizer tokenizer = new SentencePieceTokenizer(model);
    Map<SpecialToken, String> roles = new LinkedHashMap<>(roles(model));
    if (type == TokenizerClass.INTERN_LM) {
      type.roles().forEach(roles::putIfAbsent);
    }
    TokenizerFiles complete = files.withDefaultRoles(roles);
    complete =
        type == TokenizerClass.LLAMA
            ? complete.withDefaultConfig(tokenizer::configJson)
            : complete.withDefaultConfig();
    TokenTemplate template = template(complete, type, true);
    boolean ofTransformers = type == TokenizerClass.LLAMA || type == TokenizerClass.GEMMA;
    Options options =
        new Options(
            ofTransformers,
            dummyPrefix(files),
            0,
            List.of(),
            withTokensOf(
                template,
                model.ids(),
                matchedAsTheyStand(files.addedTokensById(), !ofTransformers)),
            template);
    return new TokenizerConversion(tokenizer.tokenizerJson(options, file.toString()), complete);
  }

  private static DummyPrefix dummyPrefix(TokenizerFiles files) {
    if (Boolean.FALSE.equals(files.config().get("add_prefix_space"))) {
      return DummyPrefix.NEVER;
    }
    return Boolean.FALSE.equals(files.config().get("legacy"))
        ? DummyPrefix.AT_THE_BEGINNING
        : DummyPrefix.EVERYWHERE;
  }

  private static Map<SpecialToken, String> roles(SentencePieceModel model) {
    Map<SpecialToken, String> roles = new LinkedHashMap<>();
    roles.put(SpecialToken.BOS, model.bos());
    roles.put(SpecialToken.EOS, model.eos());
    roles.put(SpecialToken.PAD, model.pad());
    roles.put(SpecialToken.UNK, model.unknown());
    roles.values().removeIf(String::isEmpty);
    return roles;
  }

  /**
   * A normaliser that puts a space in front would do so to a token's text, too. Python classes look
   * for tokens in the text as it stands.
   */
  private static SortedMap<Integer, AddedToken> matchedAsTheyStand(
      SortedMap<Integer, AddedToken> tokens, boolean all) {
    SortedMap<Integer, AddedToken> result = new TreeMap<>();
    tokens.forEach(
        (id, token) ->
            result.put(
                id,
                new AddedToken(
                    token.content(),
                    token.special(),
                    token.lstrip(),
                    token.rstrip(),
                    token.singleWord(),
                    token.normalized() && !all && !token.special())));
    return result;
  }

  private static TokenTemplate template(
      TokenizerFiles files, TokenizerClass type, boolean beforeBoth) {
    boolean addBos = files.config().get("add_bos_token") instanceof Boolean b ? b : type.addsBos();
    boolean addEos = Boolean.TRUE.equals(files.config().get("add_eos_token"));
    List<String> before = listOf(addBos ? files.roles.get(SpecialToken.BOS) : null);
    List<String> after = listOf(addEos ? files.roles.get(SpecialToken.EOS) : null);
    return new TokenTemplate(before, after, beforeBoth ? before : List.of(), after);
  }

  private static List<String> listOf(@Nullable String token) {
    return token == null ? List.of() : List.of(token);
  }

  /**
   * ChatGLM-6B: runs of white space are symbols, which are put into the text before SentencePiece
   * sees it; a text is followed by {@code [gMASK] <sop>}.
   */
  private static TokenizerConversion chatGlm(Path file, TokenizerFiles files) {
    SentencePieceModel model = withChatGlmPieces(SentencePieceModel.load(file));
    int images = imageTokens(model, files);
    Map<String, Integer> ids = model.ids();
    SortedMap<Integer, AddedToken> added = matchedAsTheyStand(files.addedTokensById(), true);
    for (String token : CHAT_GLM_TOKENS) {
      Integer id = ids.get(token);
      if (id != null) {
        added.put(images + id, AddedToken.special(token));
      }
    }
    List<Rewrite> rewrites = new ArrayList<>();
    rewrites.add(new Rewrite("\n", "<n>"));
    rewrites.add(new Rewrite("\t", "<|tab|>"));
    for (int blanks = MAX_BLANKS; blanks >= 2; blanks--) {
      rewrites.add(new Rewrite(" ".repeat(blanks), blank(blanks)));
    }
    for (String token : List.of(GENERATION_MASK, "<sop>", "<eop>")) {
      requirePiece(ids, token, file);
    }
    Options options =
        new Options(
            false,
            DummyPrefix.EVERYWHERE,
            images,
            rewrites,
            added,
            new TokenTemplate(
                List.of(), List.of(GENERATION_MASK, "<sop>"), List.of(), List.of("<eop>")));
    TokenizerFiles complete =
        files.withDefaultRoles(TokenizerClass.CHAT_GLM.roles()).withDefaultConfig();
    return new TokenizerConversion(
        new SentencePieceTokenizer(model).tokenizerJson(options, file.toString()), complete);
  }

  private static void requirePiece(Map<String, Integer> ids, String token, Path file) {
    if (!ids.containsKey(token)) {
      throw new TokenizerException(
          file
              + ": has no piece "
              + token
              + ", so it is not ChatGLM-6B's; use the file of the model's own folder");
    }
  }

  private static String blank(int length) {
    return "<|blank_" + length + "|>";
  }

  /** The first release of the file has the text's pieces alone; its class added the others. */
  private static SentencePieceModel withChatGlmPieces(SentencePieceModel model) {
    if (model.ids().containsKey(MASK)) {
      return model;
    }
    List<Piece> more = new ArrayList<>();
    CHAT_GLM_TOKENS.forEach(token -> more.add(new Piece(token, 0, Type.CONTROL)));
    more.add(new Piece("<|tab|>", 0, Type.USER_DEFINED));
    IntStream.rangeClosed(2, MAX_BLANKS)
        .forEach(length -> more.add(new Piece(blank(length), 0, Type.USER_DEFINED)));
    boolean bytes = model.pieces().stream().anyMatch(piece -> piece.type() == Type.BYTE);
    if (!bytes) {
      IntStream.range(0, 256)
          .forEach(value -> more.add(new Piece(String.format("<0x%02X>", value), 0, Type.BYTE)));
    }
    return model.withPieces(more, true);
  }

  private static int imageTokens(SentencePieceModel model, TokenizerFiles files) {
    if (files.config().get("num_image_tokens") instanceof Number number) {
      int images = number.intValue();
      if (images < 0 || images > IMAGE_TOKENS) {
        throw new TokenizerException(
            files.folder.resolve(TokenizerFiles.CONFIG)
                + ": num_image_tokens is "
                + images
                + ", expected 0 to "
                + IMAGE_TOKENS);
      }
      return images;
    }
    int rows = files.vocabSize();
    boolean first =
        rows < 0
            ? files.config().containsKey("tokenizer_class")
            : rows >= IMAGE_TOKENS + model.pieces().size();
    return first ? IMAGE_TOKENS : 0;
  }

  /**
   * ChatGLM2 and ChatGLM3: special tokens follow SentencePiece's; a text follows {@code [gMASK]
   * sop}. {@code sop} and {@code eop} are never found in a text, unless {@code
   * added_tokens_decoder} names them: they are words.
   */
  private static TokenizerConversion chatGlm2(Path file, TokenizerFiles files) {
    SentencePieceModel model = SentencePieceModel.load(file);
    int first = model.pieces().size();
    SortedMap<Integer, AddedToken> added = matchedAsTheyStand(files.addedTokensById(), true);
    List<Piece> more = new ArrayList<>();
    for (String token : List.of(MASK, GENERATION_MASK, SENTENCE_MASK)) {
      more.add(new Piece(token, 0, Type.CONTROL));
    }
    for (String token : List.of("sop", "eop")) {
      more.add(new Piece(token, 0, Type.UNUSED));
    }
    if (hasRoleTokens(first + 9, files)) {
      for (String token : List.of("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")) {
        more.add(new Piece(token, 0, Type.CONTROL));
      }
    }
    for (int i = 0; i < more.size(); i++) {
      AddedToken named = added.get(first + i);
      if (named != null) {
        // The tokens of a chat are no text, whatever the file says of them.
        added.put(first + i, AddedToken.special(named.content()));
      }
    }
    List<String> prefix = new ArrayList<>();
    for (int i : new int[] {1, 3}) {
      AddedToken named = added.get(first + i);
      prefix.add(named == null ? more.get(i).text() : named.content());
    }
    Options options =
        new Options(
            false,
            DummyPrefix.EVERYWHERE,
            0,
            List.of(),
            added,
            new TokenTemplate(prefix, List.of(), List.of(), listOf(model.eos())));
    TokenizerFiles complete =
        files.withDefaultRoles(TokenizerClass.CHAT_GLM2.roles()).withDefaultConfig();
    return new TokenizerConversion(
        new SentencePieceTokenizer(model.withPieces(more, model.byteFallback()))
            .tokenizerJson(options, file.toString()),
        complete);
  }

  /** ChatGLM3 has tokens for who speaks, ChatGLM2 has not; both leave rows free for them. */
  private static boolean hasRoleTokens(int size, TokenizerFiles files) {
    int rows = files.vocabSize();
    return (rows < 0 || rows >= size) && !files.modelName().contains("chatglm2");
  }

  private static TokenizerConversion vocabularyAndMerges(
      Path file, TokenizerClass type, TokenizerFiles files) {
    Vocabulary vocabulary = VocabularyFiles.json(file, file.resolveSibling(VocabularyFile.MERGES));
    TokenizerFiles complete = files.withDefaultRoles(type.roles()).withDefaultConfig();
    SortedMap<Integer, AddedToken> added = files.addedTokensById();
    TokenTemplate template = template(complete, type, false);
    return byteLevel(
        vocabulary,
        type == TokenizerClass.QWEN2 ? Splitting.QWEN : Splitting.GPT2,
        Boolean.TRUE.equals(files.config().get("add_prefix_space")),
        withTokensOf(template, vocabulary.ids(), added),
        template.tokens().isEmpty() ? null : template,
        complete);
  }

  /** A template's token can be in no file but by its role: then it follows all others. */
  private static SortedMap<Integer, AddedToken> withTokensOf(
      TokenTemplate template, Map<String, Integer> ids, SortedMap<Integer, AddedToken> added) {
    SortedMap<Integer, AddedToken> all = new TreeMap<>(added);
    for (String token : template.tokens()) {
      if (all.values().stream().noneMatch(known -> known.content().equals(token))) {
        int next = ids.size();
        while (all.containsKey(next)) {
          next++;
        }
        all.put(ids.getOrDefault(token, next), AddedToken.special(token));
      }
    }
    return all;
  }

  private static TokenizerConversion qwen(Path file, TokenizerFiles files) {
    Vocabulary vocabulary = VocabularyFiles.tiktoken(file);
    List<String> special = new ArrayList<>(List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>"));
    for (int i = 0; i < QWEN_EXTRAS; i++) {
      special.add("<|extra_" + i + "|>");
    }
    SortedMap<Integer, AddedToken> added = new TreeMap<>(files.addedTokensById());
    for (int i = 0; i < special.size(); i++) {
      added.put(vocabulary.ids().size() + i, AddedToken.special(special.get(i)));
    }
    TokenizerFiles complete =
        files.withDefaultRoles(TokenizerClass.QWEN.roles()).withDefaultConfig();
    return byteLevel(vocabulary, Splitting.QWEN, false, added, null, complete);
  }

  private static TokenizerConversion byteLevel(
      Vocabulary vocabulary,
      Splitting splitting,
      boolean addPrefixSpace,
      SortedMap<Integer, AddedToken> added,
      @Nullable TokenTemplate template,
      TokenizerFiles files) {
    return new TokenizerConversion(
        new ByteLevelTokenizer(
                vocabulary.ids(), vocabulary.merges(), splitting, addPrefixSpace, added, template)
            .toJson(),
        files);
  }
}
