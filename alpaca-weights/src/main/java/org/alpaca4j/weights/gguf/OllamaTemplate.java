package org.alpaca4j.weights.gguf;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.PromptTemplate;
import org.jspecify.annotations.Nullable;

/**
 * A template in Go's text/template, as Ollama executes it (its {@code template.go}: system messages
 * are {@code .System}, neighbours of one role are one message), that renders what a model's own
 * form renders. Found by rendering probes and comparing, whatever the model's family is; where no
 * template of this shape renders the same, there is none.
 */
interface OllamaTemplate {

  /** Returns the text of the template. */
  String go();

  /** Returns what the template renders of messages whose last is the user's, as Ollama does it. */
  String render(List<ChatMessage> messages);

  /** Returns whether the system's messages are rendered. */
  boolean takesSystem();

  /**
   * Returns the template that renders what a chat template does.
   *
   * @param renderer renders messages with the generation prompt; empty if it refuses them
   */
  static Optional<OllamaTemplate> of(Function<List<ChatMessage>, Optional<String>> renderer) {
    return Chat.of(renderer).map(chat -> chat);
  }

  /**
   * Returns the template of single instructions: of a conversation, the last message alone is
   * rendered, as the model has learnt no other.
   */
  static OllamaTemplate of(PromptTemplate template) {
    return new Instruction(template);
  }

  /** Returns a Go action that prints a text; nothing for none. */
  private static String literal(String text) {
    if (text.isEmpty()) {
      return "";
    }
    StringBuilder go = new StringBuilder("{{- \"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '\n' -> go.append("\\n");
        case '\\' -> go.append("\\\\");
        case '"' -> go.append("\\u0022"); // three of them would end the text in a Modelfile
        default -> {
          if (c < ' ') {
            go.append(String.format("\\u%04x", (int) c));
          } else {
            go.append(c);
          }
        }
      }
    }
    return go.append("\" -}}").toString();
  }

  /**
   * A conversation whose turns have a fixed text between them.
   *
   * @param first before the first message of the user, where there is none of the system
   * @param system before that of the system; null if the system's message is left out
   * @param systemEnd between the system's message and the user's that it belongs to
   * @param atLast whether the system's message belongs to the last message of the user, behind the
   *     usual text before that, instead of the first one
   * @param answer between a message of the user and the answer
   * @param next between an answer and the next message of the user
   * @param generation behind the last message
   */
  record Chat(
      String first,
      @Nullable String system,
      String systemEnd,
      boolean atLast,
      String answer,
      String next,
      String generation)
      implements OllamaTemplate {
    private static final ChatMessage S = ChatMessage.system("Alpaca4jS");
    private static final ChatMessage U1 = ChatMessage.user("Alpaca4jU1");
    private static final ChatMessage A1 = ChatMessage.assistant("Alpaca4jA1");
    private static final ChatMessage U2 = ChatMessage.user("Alpaca4jU2");

    /** Conversations on which both templates must agree; with a system's message too. */
    private static final List<List<ChatMessage>> PROBES =
        List.of(
            List.of(U1),
            List.of(U1, A1, U2),
            List.of(
                ChatMessage.user("What is \"2 + 2\"?\n\nThink."),
                ChatMessage.assistant("It is:\n- 4 {{ four }}"),
                ChatMessage.user("Sûr?"),
                ChatMessage.assistant("a"),
                ChatMessage.user("<b>你好</b>")));

    static Optional<Chat> of(Function<List<ChatMessage>, Optional<String>> renderer) {
      List<String> plain = gaps(renderer.apply(List.of(U1, A1, U2)), U1, A1, U2);
      if (plain.isEmpty()) {
        return Optional.empty();
      }
      Optional<String> withSystem = renderer.apply(List.of(S, U1, A1, U2));
      List<String> before = gaps(withSystem, S, U1, A1, U2);
      List<String> atLast = gaps(withSystem, U1, A1, S, U2);
      boolean takesSystem = !before.isEmpty() || !atLast.isEmpty();
      Chat chat =
          new Chat(
              plain.get(0),
              takesSystem ? before.isEmpty() ? "" : before.get(0) : null,
              takesSystem ? before.isEmpty() ? atLast.get(3) : before.get(1) : "",
              before.isEmpty(),
              plain.get(1),
              plain.get(2),
              plain.get(3));
      return chat.renders(renderer) ? Optional.of(chat) : Optional.empty();
    }

    /** Returns the texts before, between and behind messages; none if they are not all there. */
    private static List<String> gaps(Optional<String> rendered, ChatMessage... messages) {
      List<String> gaps = new ArrayList<>();
      String rest = rendered.orElse("");
      for (ChatMessage message : messages) {
        int at = rest.indexOf(message.content());
        if (at < 0) {
          return List.of();
        }
        gaps.add(rest.substring(0, at));
        rest = rest.substring(at + message.content().length());
      }
      gaps.add(rest);
      return gaps;
    }

    private boolean renders(Function<List<ChatMessage>, Optional<String>> renderer) {
      for (List<ChatMessage> probe : PROBES) {
        List<ChatMessage> withSystem = new ArrayList<>(List.of(ChatMessage.system("Be\nbrief.")));
        withSystem.addAll(probe);
        Optional<String> expected = renderer.apply(withSystem);
        boolean refused = expected.isEmpty() && !takesSystem();
        if (!renderer.apply(probe).equals(Optional.of(render(probe)))
            || !refused && !expected.equals(Optional.of(render(withSystem)))) {
          return false;
        }
      }
      return true;
    }

    @Override
    public boolean takesSystem() {
      return system != null;
    }

    @Override
    public String render(List<ChatMessage> messages) {
      String said = "";
      StringBuilder text = new StringBuilder();
      boolean isFirst = true;
      for (int i = 0; i < messages.size(); i++) {
        ChatMessage message = messages.get(i);
        boolean last = i + 1 == messages.size();
        switch (message.role()) {
          case "system" -> said = message.content();
          case "user" -> {
            boolean systemHere = system != null && !said.isEmpty() && (atLast ? last : isFirst);
            if (atLast || !systemHere) {
              text.append(isFirst ? first : next);
            }
            if (systemHere) {
              text.append(system).append(said).append(systemEnd);
            }
            text.append(message.content()).append(last ? generation : "");
            isFirst = false;
          }
          default -> text.append(answer).append(message.content());
        }
      }
      return text.toString();
    }

    @Override
    public String go() {
      return """
          {{- $first := true }}
          {{- range $i, $_ := .Messages }}
          {{- $last := eq (len (slice $.Messages $i)) 1 }}
          {{- if eq .Role "user" }}
          OPENING
          {{- .Content -}}
          {{- if $last }}GENERATION{{ end }}
          {{- $first = false }}
          {{- else if eq .Role "assistant" }}ANSWER
          {{- .Content -}}
          {{- end }}
          {{- end }}"""
          .replace("OPENING", opening())
          .replace("GENERATION", literal(generation))
          .replace("ANSWER", literal(answer));
    }

    private String opening() {
      String usual =
          "{{- if $first }}" + literal(first) + "{{ else }}" + literal(next) + "{{ end }}";
      if (system == null) {
        return usual;
      }
      String said = literal(system) + "{{- $.System -}}" + literal(systemEnd);
      return atLast
          ? usual + "\n{{- if and $last $.System }}" + said + "{{ end }}"
          : "{{- if and $first $.System }}" + said + "{{ else }}" + usual + "{{ end }}";
    }
  }

  /** See {@link OllamaTemplate#of(PromptTemplate)}. */
  record Instruction(PromptTemplate template) implements OllamaTemplate {

    @Override
    public boolean takesSystem() {
      return false;
    }

    @Override
    public String render(List<ChatMessage> messages) {
      return template.render(messages.get(messages.size() - 1).content(), null);
    }

    @Override
    public String go() {
      StringBuilder prompt = new StringBuilder();
      String[] parts = template.withoutInput().split("\\{instruction}", -1);
      for (int i = 0; i < parts.length; i++) {
        prompt.append(i == 0 ? "" : "{{- .Content -}}").append(literal(parts[i]));
      }
      return """
          {{- range $i, $_ := .Messages }}
          {{- if and (eq .Role "user") (eq (len (slice $.Messages $i)) 1) }}PROMPT{{ end }}
          {{- end }}"""
          .replace("PROMPT", prompt);
    }
  }
}
