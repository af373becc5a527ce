declare module "virtual:pseudo-locale" {
  export const messages: import("@lingui/core").Messages;
}
